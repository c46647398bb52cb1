import type { TensorData } from "@tensorar/core";
import { batchIndices, type Codes } from "@tensorar/data";
import { corruptWindows, createStream, fillUniform, slideWindows } from "@tensorar/noise";
import type { TrainingConditions } from "../conditions/training-conditions";
import type { ArSpecs } from "./ar-task";
import type { TrainingTask, Validation } from "./task";

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
  /** Fraction of window entries that the model draws. */
  readonly selfShare: number;
}

const int32 = (data: Int32Array, shape: readonly number[]): TensorData => ({ dtype: "int32", shape, data });
const float32 = (data: Float32Array, shape: readonly number[]): TensorData => ({ dtype: "float32", shape, data });

/** Batches of a training on codes. */
export function arBatches(
  codes: Codes,
  conditions: TrainingConditions,
  options: ArBatchOptions,
): Pick<TrainingTask<ArSpecs>, "batchSpec" | "batch"> & { readonly validation: Omit<Validation<ArSpecs>, "metrics"> } {
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
  const given: ArSpecs = {
    condition: conditions.spec(B),
    windows: { dtype: "int32", shape: [B, T - 1, k] },
    targets: { dtype: "int32", shape: [B, T, k] },
  };
  /** @param noise number of the noise that corrupts the windows */
  const feedsOf = async ({ images, tokens, dropped, draws }: Picked, noise: number) => {
    const clean = slideWindows(tokens, { ...shape, tokens: T, count: T - 1 });
    const windows = corruptWindows(clean, { ...shape, count: T - 1, vocabSize, rates, seed, step: noise });
    return {
      condition: await conditions.batch(images, dropped, draws),
      windows: int32(windows, [B, T - 1, k]),
      targets: int32(slideWindows(tokens, { ...shape, tokens: T }), [B, T, k]),
    };
  };
  return {
    batchSpec: {
      ...given,
      ...(selfShare > 0 && {
        uniforms: { dtype: "float32", shape: uniformShape },
        useSelf: { dtype: "int32", shape: [B, T - 1, k] },
      }),
    },
    async batch(step) {
      return { ...(await feedsOf(pick(codes, options, step), step)), ...(selfShare > 0 && selfInputs(step)) };
    },
    validation: {
      batchSpec: given,
      batches: Math.max(1, Math.floor(codes.validation.length / B)),
      batch: (index) => feedsOf(pickHeldOut(codes, options, index), index),
    },
  };
}

/** Images of a batch: their rows [B], codes [B, T], 1 where the condition is dropped [B], and the draws of captions [B]. */
interface Picked {
  readonly images: Int32Array;
  readonly tokens: Int32Array;
  readonly dropped: Uint8Array;
  readonly draws: Float32Array;
}

function pick(codes: Codes, options: ArBatchOptions, step: number): Picked {
  const { batchSize: B, classDropout, seed } = options;
  const picks = batchIndices({ count: codes.train.length, batchSize: B, seed, step });
  const images = picks.map((row) => codes.train[row]!);
  const dropout = createStream(seed, "class-dropout", step);
  const dropped = Uint8Array.from(images, () => (dropout.uniform() < classDropout ? 1 : 0));
  const draws = new Float32Array(B);
  fillUniform(draws, seed, "captions", step);
  return { images, tokens: tokensOf(codes, images, options.tokens), dropped, draws };
}

/** Held-out images in their order, with their conditions, the first of several. */
function pickHeldOut(codes: Codes, { batchSize: B, tokens: T }: ArBatchOptions, index: number): Picked {
  const { validation } = codes;
  const images = Int32Array.from({ length: B }, (_, b) => validation[(index * B + b) % validation.length]!);
  return { images, tokens: tokensOf(codes, images, T), dropped: new Uint8Array(B), draws: new Float32Array(B) };
}

function tokensOf({ codes }: Codes, images: Int32Array, T: number): Int32Array {
  const tokens = new Int32Array(images.length * T);
  for (const [b, image] of images.entries()) tokens.set(codes.subarray(image * T, (image + 1) * T), b * T);
  return tokens;
}
