import { TensorARError } from "@tensorar/core";
import type { ImageBatch } from "@tensorar/data";
import { type InceptionFeatures, inceptionFeatures } from "@tensorar/metrics/features";
import { loadInception } from "@tensorar/metrics/node";
import { toParams } from "@tensorar/model";
import type { TensorSpec } from "@tensorar/onnx";
import type { Engine, Runnable } from "@tensorar/training";
import * as tf from "@tensorflow/tfjs-core";

/** What Inception makes of a batch of images. */
export interface InceptionBatch {
  /** [count, 2048] */
  readonly pooled: Float32Array;
  /** [count, 2023] */
  readonly spatial: Float32Array;
  /** [count, 1008] */
  readonly logits: Float32Array;
}

/** FID's Inception-v3, ready to run. */
export interface InceptionRunner {
  run(images: ImageBatch): Promise<InceptionBatch>;
  dispose(): Promise<void>;
}

type Graph = Runnable<{ images: TensorSpec }, InceptionFeatures>;

/** Every size of images needs a graph of its own. */
const MOST_SIZES = 16;

/** FID's Inception-v3 made ready on an engine, for images of any size. @param weights file of its weights */
export async function openInception(weights: string, engine: Engine): Promise<InceptionRunner> {
  const params = toParams(await loadInception(weights));
  const graphs = new Map<string, Graph>();
  const graphOf = async ({ height, width }: ImageBatch): Promise<Graph> => {
    const size = `${height} x ${width}`;
    const known = graphs.get(size);
    if (known) return known;
    if (graphs.size === MOST_SIZES) {
      const sizes = [...graphs.keys()].join(", ");
      throw new TensorARError(
        `images of more than ${MOST_SIZES} sizes (${sizes}, ${size}); bring them to one size first`,
      );
    }
    const graph = await engine.prepare(
      ({ images }: { images: tf.Tensor4D }) => ({ ...inceptionFeatures(params, images) }),
      { images: { dtype: "float32", shape: ["batch", height, width, 3] } },
    );
    graphs.set(size, graph);
    return graph;
  };
  return {
    async run(images) {
      const { count, height, width, pixels } = images;
      const graph = await graphOf(images);
      const data = Float32Array.from(pixels);
      const outputs = await graph({ images: { dtype: "float32", shape: [count, height, width, 3], data } });
      const of = (name: keyof InceptionFeatures) => outputs[name].data as Float32Array;
      return { pooled: of("pooled"), spatial: of("spatial"), logits: of("logits") };
    },
    async dispose() {
      await Promise.all([...graphs.values()].map((graph) => graph.dispose()));
      tf.dispose(params);
    },
  };
}
