import { type Decoder, type GenerateOptions, generate } from "@tensorar/sampler";

/** How the codes of images are drawn. */
export type SamplingOptions = Omit<GenerateOptions<never>, "conditions" | "firstIndex" | "trace" | "signal" | "scales">;

export interface SampledCodes {
  /** [n, T] */
  readonly codes: Int32Array;
  /** [n, T, k]: the draft of position p at depth j, first to final; PAD where there was none */
  readonly trace: Int32Array;
  /** [n]: steps that each image took. */
  readonly steps: Int32Array;
}

/** Called with the share of a batch's work that is done, in (0, 1]. */
export type OnFraction = (share: number) => void;

/**
 * Samples a batch of images, one for every condition; image `first + i` depends on the seed and its index alone.
 * @throws the reason of `signal` when it aborts
 */
export async function sampleBatch<C>(
  decoder: Decoder<C>,
  conditions: readonly C[],
  first: number,
  options: SamplingOptions,
  signal: AbortSignal,
  onFraction: OnFraction,
): Promise<SampledCodes> {
  const { tokens: T } = decoder;
  let sampled: SampledCodes | undefined;
  for await (const step of generate(decoder, { ...options, conditions, firstIndex: first, trace: true, signal })) {
    onFraction((step.position + 1) / T);
    sampled = step;
  }
  return sampled!; // T ≥ 1, and the last step holds all
}
