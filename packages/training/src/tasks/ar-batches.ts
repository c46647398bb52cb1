import type { TensorData } from "@tensorar/core";
import { batchIndices, type Codes } from "@tensorar/data";
import { corruptWindows, createStream, fillUniform, slideWindows } from "@tensorar/noise";
import type { TrainingConditions } from "../conditions/training-conditions";
import type { ArSpecs } from "./ar-task";
import type { TrainingTask } from "./task";

// B images of a batch · T tokens · k window

interface ArBatchOptions {
  readonly batchSize: number;
  readonly classDropout: number;
  readonly seed: number;
  /** T */
  readonly tokens: number;
  /** k */
  readonly windowSize: number;
  readonly vocabSize: number;
  /** Sub-tokens of a token, of models that have some. */
  readonly factors: number | undefined;
  /** β(j) */
  readonly rates: Float64Array;
  /** Share of window entries that the model draws. */
  readonly selfShare: number;
}

const int32 = (data: Int32Array, shape: readonly number[]): TensorData => ({ dtype: "int32", shape, data });
const float32 = (data: Float32Array, shape: readonly number[]): TensorData => ({ dtype: "float32", shape, data });

/** Batches of a training on codes. */
export function arBatches(
  codes: Codes,
  conditions: TrainingConditions,
  options: ArBatchOptions,
): Pick<TrainingTask<ArSpecs>, "batchSpec" | "batch"> {
  const { batchSize: B, tokens: T, windowSize: k, vocabSize, rates, seed, selfShare, factors } = options;
  const shape = { batch: B, windowSize: k };
  const uniformShape = [B, T, k, ...(factors === undefined ? [] : [factors])];
  /** What the model's own draws need. */
  const selfInputs = (step: number) => {
    const uniforms = new Float32Array(uniformShape.reduce((a, b) => a * b));
    fillUniform(uniforms, seed, "draft-samples", step);
    const choice = new Float32Array(B * (T - 1) * k);
    fillUniform(choice, seed, "self-entries", step);
    const useSelf = Int32Array.from(choice, (u) => (u < selfShare ? 1 : 0));
    return { uniforms: float32(uniforms, uniformShape), useSelf: int32(useSelf, [B, T - 1, k]) };
  };
  return {
    batchSpec: {
      condition: conditions.spec(B),
      windows: { dtype: "int32", shape: [B, T - 1, k] },
      targets: { dtype: "int32", shape: [B, T, k] },
      ...(selfShare > 0 && {
        uniforms: { dtype: "float32", shape: uniformShape },
        useSelf: { dtype: "int32", shape: [B, T - 1, k] },
      }),
    },
    async batch(step) {
      const { images, tokens, dropped, draws } = pick(codes, options, step);
      const clean = slideWindows(tokens, { ...shape, tokens: T, count: T - 1 });
      const windows = corruptWindows(clean, { ...shape, count: T - 1, vocabSize, rates, seed, step });
      return {
        condition: await conditions.batch(images, dropped, draws),
        windows: int32(windows, [B, T - 1, k]),
        targets: int32(slideWindows(tokens, { ...shape, tokens: T }), [B, T, k]),
        ...(selfShare > 0 && selfInputs(step)),
      };
    },
  };
}

/** The images of a step: their rows [B], codes [B, T], 1 where the condition is dropped [B], and the draws of captions [B]. */
function pick(codes: Codes, { batchSize: B, tokens: T, classDropout, seed }: ArBatchOptions, step: number) {
  const picks = batchIndices({ count: codes.train.length, batchSize: B, seed, step });
  const images = picks.map((row) => codes.train[row]!);
  const tokens = new Int32Array(B * T);
  const dropped = new Uint8Array(B);
  const dropout = createStream(seed, "class-dropout", step);
  for (const [b, image] of images.entries()) {
    tokens.set(codes.codes.subarray(image * T, (image + 1) * T), b * T);
    dropped[b] = dropout.uniform() < classDropout ? 1 : 0;
  }
  const draws = new Float32Array(B);
  fillUniform(draws, seed, "captions", step);
  return { images, tokens, dropped, draws };
}
