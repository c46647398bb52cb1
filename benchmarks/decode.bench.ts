import { attachTensorAR, llamaGen, llamaGenConfig } from "@tensorar/model";
import { compile, type Quantization } from "@tensorar/onnx";
import { cachedDecoder, classLabels, type Decoder, type StepOutputs } from "@tensorar/sampler";
import "@tensorflow/tfjs";
import * as tf from "@tensorflow/tfjs-core";
import * as ort from "onnxruntime-node";
import { copyBandwidth } from "./lib/machine";
import { median } from "./lib/measure";
import { costRow, type Row } from "./lib/row";
import { inTurnsWithTorch } from "./lib/turns";
import { matmulWeights, timingWeights } from "./lib/weights";

const BATCH = 2; // one image with classifier-free guidance
const PEER = "decode --dim 768 --layers 12 --heads 12 --vocab 16384 --tokens 256 --batch 2".split(" ");

const FORMATS: readonly {
  readonly name: string;
  readonly quantize?: Quantization;
  readonly peer: readonly string[];
}[] = [
  { name: "float32", peer: PEER },
  { name: "int8 weights (peer: int8)", quantize: { bits: 8 }, peer: [...PEER, "--int8"] },
  { name: "int4 weights (peer: float32)", quantize: { bits: 4 }, peer: PEER },
];

/** One step of generation as it is shipped, cache included: the mean over all tokens of an image. */
export async function* run(): AsyncGenerator<Row> {
  await tf.ready();
  const model = attachTensorAR(llamaGen(llamaGenConfig("GPT-B")), { windowSize: 1 });
  const { tokens, cache } = model.backbone;
  for (const { name, quantize, peer: args } of FORMATS) {
    const { decoder, dispose } = await openDecoder(model, quantize);
    try {
      await decodeImage(decoder, 8); // warms up
      const bandwidths: number[] = [];
      const turn = async () => {
        bandwidths.push(await copyBandwidth());
        return decodeImage(decoder, tokens);
      };
      const { value, peer } = await inTurnsWithTorch(turn, args);
      const cached = 2 * cache.layers * BATCH * cache.heads * cache.headDim * ((tokens - 1) / 2); // on average
      const bytes = weightBytes(quantize) * matmulWeights(model.shapes) + 4 * cached;
      const limit = bytes / median(bandwidths) / 1e6;
      yield costRow(`GPT-B decode step, batch ${BATCH}, ${name}`, value, "ms", { peer, limit });
    } finally {
      await dispose();
    }
  }
}

/** Bytes of one weight with its share of the factor. */
const weightBytes = (quantize: Quantization | undefined): number => (quantize ? quantize.bits / 8 + 4 / 32 : 4);

async function openDecoder(model: ReturnType<typeof attachTensorAR>, quantize: Quantization | undefined) {
  const { tokens, vocabSize, nullCondition, cache } = model.backbone;
  const { windowSize } = model;
  const params = timingWeights(model.shapes);
  const layers = <Value>(value: Value): Value[] => Array.from({ length: cache.layers }, () => value);
  const step = await compile(
    (inputs) => ({ ...model.decode(params, inputs) }),
    {
      condition: { dtype: "int32", shape: ["batch"] },
      window: { dtype: "int32", shape: ["batch", windowSize] },
      position: { dtype: "int32", shape: [1] },
      mask: { dtype: "float32", shape: ["batch", "slots"] },
      keys: layers({ dtype: "float32", shape: ["batch", cache.heads, cache.headDim, "slots"] } as const),
      values: layers({ dtype: "float32", shape: ["batch", cache.heads, "slots", cache.headDim] } as const),
    },
    { runtime: ort, weights: params, threads: 2, ...(quantize && { quantize }) },
  );
  tf.dispose(params);
  const decoder = cachedDecoder({
    ...{ tokens, windowSize, vocabSize, cache },
    conditioning: classLabels(nullCondition),
    run: async (inputs) => (await step(inputs as never)) as unknown as StepOutputs,
  });
  return { decoder, dispose: () => step.dispose() };
}

/** Decodes the first `count` tokens of an image; milliseconds a step. */
async function decodeImage(decoder: Decoder, count: number): Promise<number> {
  const session = decoder.start(new Int32Array(BATCH).fill(7));
  const start = performance.now();
  for (let slot = 0; slot < count; slot++) await session.step(new Int32Array(BATCH).fill(slot % 100));
  return (performance.now() - start) / count;
}
