import { type Condition, modelPrograms, type TensorARModel } from "@tensorar/model";
import { compileProgram, type Quantization } from "@tensorar/onnx";
import { cachedDecoder, classLabels, type Decoder } from "@tensorar/sampler";
import * as tf from "@tensorflow/tfjs-core";
import * as ort from "onnxruntime-node";
import { median } from "../lib/measure";
import { matmulWeights, timingWeights } from "../lib/weights";

export type Model = TensorARModel<Condition>;

/** With its share of a block's factor; halves are float32 once they are loaded. */
const BYTES_A_WEIGHT = { 4: 4 / 8 + 4 / 32, 8: 8 / 8 + 4 / 128, 16: 4 } as const;

/** What a step must read: every matrix once, and the filled part of the cache, which is half of it on average. */
export function stepBytes({ shapes, backbone }: Model, batch: number, quantize: Quantization | undefined): number {
  const { layers, heads, headDim } = backbone.cache;
  const weight = quantize ? BYTES_A_WEIGHT[quantize.bits] : 4;
  return weight * matmulWeights(shapes) + 4 * 2 * layers * batch * heads * headDim * ((backbone.tokens - 1) / 2);
}

/** A model with weights for timing, compiled step by step; any number of images. */
export async function openDecoder(model: Model, quantize?: Quantization, runtime: typeof ort = ort) {
  const { tokens, vocabSize, unconditionalClass, cache } = model.backbone;
  const params = timingWeights(model.shapes);
  const form = { fuse: "cpu", ...(quantize && { quantize }) } as const;
  const run = await compileProgram(modelPrograms(model, params).decode, { runtime, threads: 2, ...form });
  tf.dispose(params);
  const decoder = cachedDecoder({
    tokens,
    windowSize: model.windowSize,
    vocabSize,
    cache,
    conditioning: classLabels(unconditionalClass),
    run,
  });
  return { decoder, dispose: () => run.dispose() };
}

/** Decodes the first `count` tokens of `batch` images; milliseconds of a step, the median over all, as the peer takes it. */
export async function decodeImages(decoder: Decoder, batch: number, count: number): Promise<number> {
  const session = decoder.start(new Int32Array(batch).fill(7));
  const windows = new Int32Array(batch * decoder.windowSize);
  const times: number[] = [];
  for (let position = 0; position < count; position++) {
    const start = performance.now();
    await session.step(windows.fill(position % 100));
    times.push(performance.now() - start);
  }
  return median(times);
}
