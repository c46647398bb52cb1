import { type AugmentedCodes, batchIndices, type Codes } from "@tensorar/data";
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
  readonly selfFraction: number;
  /** What the body drops out of, where it does. */
  readonly dropout: DropoutSizes | undefined;
}

/** Batches of a training on codes. */
export function arBatches(
  codes: Codes,
  conditions: TrainingConditions,
  options: ArBatchOptions,
): Pick<TrainingTask<ArSpecs>, "batchSpec" | "batch"> {
  const { batchSize: B, tokens: T, windowSize: k, vocabSize, noising, seed, selfFraction, factors, dropout } = options;
  const shape = { batch: B, windowSize: k };
  const uniformShape = [B, T, k, ...(factors === undefined ? [] : [factors])];
  /** What the model's own draws need. */
  const selfInputs = (step: number) => ({
    uniforms: uniformsOf(uniformShape, seed, "draft-samples", step),
    useSelf: int32(chosen(B * (T - 1) * k, selfFraction, seed, step), [B, T - 1, k]),
  });
  return {
    batchSpec: {
      condition: conditions.spec(B),
      windows: { dtype: "int32", shape: [B, T - 1, k] },
      targets: { dtype: "int32", shape: [B, T, k] },
      ...(selfFraction > 0 && {
        uniforms: { dtype: "float32", shape: uniformShape },
        useSelf: { dtype: "int32", shape: [B, T - 1, k] },
      }),
      ...(dropout && dropoutSpecs(dropout)),
    },
    async batch(step) {
      const { images, tokens, dropped, draws } = await pick(codes, options, step);
      const clean = slideWindows(tokens, { ...shape, tokens: T, count: T - 1 });
      const windows = corruptWindows(clean, { ...noising, ...shape, count: T - 1, vocabSize, seed, step });
      return {
        condition: await conditions.batch(images, dropped, draws),
        windows: int32(windows, [B, T - 1, k]),
        targets: int32(slideWindows(tokens, { ...shape, tokens: T }), [B, T, k]),
        ...(selfFraction > 0 && selfInputs(step)),
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

async function pick(codes: Codes, options: ArBatchOptions, step: number): Promise<Picked> {
  const { batchSize: B, classDropout, seed } = options;
  const picks = batchIndices({ count: codes.train.length, batchSize: B, seed, step });
  const images = picks.map((row) => codes.train[row]!);
  const dropout = createStream(seed, "class-dropout", step);
  const dropped = Uint8Array.from(images, () => (dropout.uniform() < classDropout ? 1 : 0));
  const draws = new Float32Array(B);
  fillUniform(draws, seed, "captions", step);
  const tokens = tokensOf(codes, images, options.tokens);
  const address = { seed, count: codes.train.length, first: step * B };
  if (codes.augmented) await takeVariants(tokens, codes.augmented, picks, address);
  return { images, tokens, dropped, draws };
}

/**
 * Replaces the codes of images by those of variants, drawn at random; an image itself is as likely as each of its variants. Draws
 * are addressed by epoch and image, whatever the size of a batch.
 *
 * @param tokens [B, T], changed in place
 * @param picks [B] places among the images that are trained on
 * @param address the seed, images of an epoch, and the place of the batch's first one in the sequence of all epochs
 */
async function takeVariants(
  tokens: Int32Array,
  { variants, read }: AugmentedCodes,
  picks: Int32Array,
  { seed, count, first }: Readonly<Record<"seed" | "count" | "first", number>>,
): Promise<void> {
  const drawn = Array.from(picks, (image, at) => {
    const epoch = Math.floor((first + at) / count);
    return { image, at, variant: createStream(seed, "augmentation", epoch, image).below(variants + 1) - 1 };
  }).filter(({ variant }) => variant >= 0);
  const codes = await read(
    drawn.map(({ image }) => image),
    drawn.map(({ variant }) => variant),
  );
  const T = tokens.length / picks.length;
  for (const [i, { at }] of drawn.entries()) tokens.set(codes.subarray(i * T, (i + 1) * T), at * T);
}
