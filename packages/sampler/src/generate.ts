import { beginBatch, step } from "./batch";
import type { Decoder } from "./decoder";
import { checkOptions, type GenerateOptions } from "./options";

// N images · T tokens · k window

/** The codes of a batch. */
export interface Generated {
  /** [N, T] */
  readonly codes: Int32Array;
  /** With `trace`: [N, T, k], the drafts of every position from first (depth 0) to final (depth k-1); PAD where there was none. */
  readonly trace?: Int32Array;
  /**
   * With `probabilities`: [N, T, k], of the codes of `trace` in the distributions that they were drawn from, after guidance,
   * temperature and filters; 0 where there was none. Of argmax drafts the model's own, at temperature 1.
   */
  readonly probabilities?: Float32Array;
  /** [N]: steps that each image took, T with one position a step. */
  readonly steps: Int32Array;
}

/** The drafts of a batch beside its codes. */
export interface Traced extends Generated {
  readonly trace: Int32Array;
}

/**
 * After each step: at least one more position of every image is final, with `parallel` 1 just one. Codes and trace are those so
 * far, the same arrays at every step: codes are final up to `position`, then the newest drafts, PAD beyond them. Those of the
 * last step are the result.
 */
export interface GenerateStep extends Generated {
  /** The last position that is final in every image, 0 … T-1. */
  readonly position: number;
}

/**
 * Generates a batch of images, refining as it goes. Source: Cheng et al. 2026, inference: each step makes one position
 * final and drafts the k-1 after it, which the next step revises.
 *
 * With `parallel` W, by Jacobi decoding: a step predicts after the last final token and after drafts of the W-1 tokens that follow,
 * draws all of them anew with the random numbers of their positions, and commits the longest prefix whose inputs were right.
 * Every image advances at its own pace, to the codes of one position a step, but for draws so close that rounding decides.
 * Sources: Santilli et al. 2023, "Accelerating Transformer Inference for Translation via Parallel Decoding"; for sampled images
 * Teng et al. 2024, arXiv 2410.01699, whose acceptance by chance the shared random numbers replace.
 *
 * @returns yields after every step; the last step holds what is returned: all codes, and the trace
 * @throws TensorARError for options out of range and logits that are NaN; the reason of `signal` when it aborts
 */
export function generate<C = number>(
  decoder: Decoder<C>,
  options: GenerateOptions<C> & { readonly trace: true },
): AsyncGenerator<GenerateStep & Traced, Traced>;
export function generate<C = number>(
  decoder: Decoder<C>,
  options: GenerateOptions<C>,
): AsyncGenerator<GenerateStep, Generated>;
export async function* generate<C = number>(
  decoder: Decoder<C>,
  options: GenerateOptions<C>,
): AsyncGenerator<GenerateStep, Generated> {
  checkOptions(decoder, options);
  const { signal } = options;
  signal?.throwIfAborted();
  const batch = beginBatch(decoder, options);
  const { codes, trace, probabilities, steps, final } = batch;
  const generated: Generated = { codes, steps, ...(trace && { trace }), ...(probabilities && { probabilities }) };
  for (let position = -1; position < decoder.tokens - 1; ) {
    signal?.throwIfAborted();
    await step(batch);
    position = Math.min(...final) - 1;
    yield { position, ...generated };
  }
  return generated;
}
