import type { TensorData } from "@tensorar/core";
import { toFloatImages } from "@tensorar/data";
import { toParams } from "@tensorar/model";
import type { Engine } from "@tensorar/training";
import * as tf from "@tensorflow/tfjs-core";
import type { ClassifierFolder } from "./classifier-folder";
import type { Labels } from "./labels";
import { type ClassifierConfig, classify, hiddenUnits } from "./network";

/** A classifier made ready to run. */
export interface ClassifierRunner {
  readonly config: ClassifierConfig;
  /**
   * The rank of what each image should show among all values of each part, 0 for the best.
   * @param pixels uint8 [N, S, S, 3]
   * @param labels [N]
   * @returns [N]: ranks by part; absent where the classifier does not know the value
   */
  ranks(pixels: Uint8Array, labels: readonly Labels[]): Promise<Readonly<Record<string, number>>[]>;
  /**
   * What its last layer sees of each image.
   * @param pixels uint8 [N, S, S, 3]
   * @returns [N, H]
   */
  features(pixels: Uint8Array): Promise<{ readonly data: Float32Array; readonly dims: number }>;
  dispose(): Promise<void>;
}

/** Prepares a classifier on an engine. */
export async function openClassifier({ config, tensors }: ClassifierFolder, engine: Engine): Promise<ClassifierRunner> {
  const { imageSize: S, parts } = config;
  const params = toParams({ ...tensors });
  const spec = { dtype: "float32", shape: ["batch", S, S, 3] } as const;
  const run = await engine.prepare(({ images }: { images: tf.Tensor }) => classify(params, config, images), {
    images: spec,
  });
  const see = await engine.prepare(
    ({ images }: { images: tf.Tensor }) => ({ hidden: hiddenUnits(params, config, images) }),
    { images: spec },
  );
  const feed = (pixels: Uint8Array): { images: TensorData } => ({
    images: { dtype: "float32", shape: [pixels.length / (S * S * 3), S, S, 3], data: toFloatImages(pixels) },
  });
  return {
    config,
    async ranks(pixels, labels) {
      const logits = await run(feed(pixels));
      return labels.map((own, image) =>
        Object.fromEntries(
          parts.flatMap(({ name, values }) => {
            const value = values.indexOf(own[name] ?? "");
            return value < 0 ? [] : [[name, rankOf(logits[name]!, image, value)]];
          }),
        ),
      );
    },
    async features(pixels) {
      const { data } = (await see(feed(pixels))).hidden;
      return { data: data as Float32Array, dims: config.hidden };
    },
    async dispose() {
      await run.dispose();
      await see.dispose();
      tf.dispose(params);
    },
  };
}

/** How many values are likelier. @param logits [N, V] */
function rankOf({ data, shape }: Pick<TensorData, "data" | "shape">, image: number, value: number): number {
  const values = shape[1]!;
  const own = (data as Float32Array).subarray(image * values, (image + 1) * values);
  return own.reduce((likelier, each) => likelier + (each > own[value]! ? 1 : 0), 0);
}
