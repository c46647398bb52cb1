import { batchIndices, type Codes } from "@tensorar/data";
import { corruptWindows, createStream, fillUniform, slideWindows } from "@tensorar/noise";
import type { TrainingConditions } from "../conditions/training-conditions";
import type { ArSpecs } from "./ar-task";
import { type DropoutSizes, dropoutDraws, dropoutSpecs } from "./dropout";
import { int32, tokensOf, uniformsOf } from "./host-tensors";
import type { Noising } from "./noising";
import type { TrainingTask } from "./task";

// B images of a batch · T tokens · k window

export interface ArBatchOptions {
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
  readonly noising: Noising;
  /** Fraction of window entries that the model draws. */
  readonly selfShare: number;
  /** What the body drops out of, where it does. */
  readonly dropout: DropoutSizes | undefined;
}

/** Batches of a training on codes. */
export function arBatches(
  codes: Codes,
  conditions: TrainingConditions,
  options: ArBatchOptions,
): Pick<TrainingTask<ArSpecs>, "batchSpec" | "batch"> {
  const { batchSize: B, tokens: T, windowSize: k, vocabSize, noising, seed, selfShare, factors, dropout } = options;
  const shape = { batch: B, windowSize: k };
  const uniformShape = [B, T, k, ...(factors === undefined ? [] : [factors])];
  /** What the model's own draws need. */
  const selfInputs = (step: number) => ({
    uniforms: uniformsOf(uniformShape, seed, "draft-samples", step),
    useSelf: int32(chosen(B * (T - 1) * k, selfShare, seed, step), [B, T - 1, k]),
  });
  return {
    batchSpec: {
      condition: conditions.spec(B),
      windows: { dtype: "int32", shape: [B, T - 1, k] },
      targets: { dtype: "int32", shape: [B, T, k] },
      ...(selfShare > 0 && {
        uniforms: { dtype: "float32", shape: uniformShape },
        useSelf: { dtype: "int32", shape: [B, T - 1, k] },
      }),
      ...(dropout && dropoutSpecs(dropout)),
    },
    async batch(step) {
      const { images, tokens, dropped, draws } = pick(codes, options, step);
      const clean = slideWindows(tokens, { ...shape, tokens: T, count: T - 1 });
      const windows = corruptWindows(clean, { ...noising, ...shape, count: T - 1, vocabSize, seed, step });
      return {
        condition: await conditions.batch(images, dropped, draws),
        windows: int32(windows, [B, T - 1, k]),
        targets: int32(slideWindows(tokens, { ...shape, tokens: T }), [B, T, k]),
        ...(selfShare > 0 && selfInputs(step)),
        ...(dropout && dropoutDraws(dropout, seed, step)),
      };
    },
  };
}

/** 1 for entries that the model draws. */
function chosen(count: number, fraction: number, seed: number, step: number): Int32Array {
  const uniforms = new Float32Array(count);
  fillUniform(uniforms, seed, "self-entries", step);
  return Int32Array.from(uniforms, (u) => (u < fraction ? 1 : 0));
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
