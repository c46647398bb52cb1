import { type Decoder, type GenerateOptions, generate } from "@tensorar/sampler";
import type { Turn } from "./turns";

/** How the codes of images are drawn. */
export type SamplingOptions = Omit<
  GenerateOptions<never>,
  "conditions" | "seed" | "firstIndex" | "trace" | "signal" | "scales"
>;

export interface SampledCodes {
  /** [n, T] */
  readonly codes: Int32Array;
  /** [n, T, k]: the draft of position p at depth j, first to final; PAD where there was none */
  readonly trace: Int32Array;
  /** [n]: steps that each image took. */
  readonly steps: Int32Array;
}

/** An image to make. */
export interface Wanted<C> extends Omit<Turn, "scale"> {
  readonly condition: C;
  /** In place of that of the guidance. */
  readonly scale?: number | undefined;
}

/** Called with the share of a batch's work that is done, in (0, 1]. */
export type OnFraction = (share: number) => void;

/**
 * Samples a batch of images; each depends on its condition, scale, seed and index alone.
 * @param wanted all with a scale of their own, or none
 * @throws the reason of `signal` when it aborts
 */
export async function sampleBatch<C>(
  decoder: Decoder<C>,
  wanted: readonly Wanted<C>[],
  options: SamplingOptions,
  signal: AbortSignal,
  onFraction: OnFraction,
): Promise<SampledCodes> {
  const { tokens: T } = decoder;
  const scales = wanted.flatMap(({ scale }) => scale ?? []);
  const batch = {
    ...options,
    conditions: wanted.map(({ condition }) => condition),
    seed: wanted.map(({ seed }) => seed),
    firstIndex: wanted.map(({ index }) => index),
    scales: scales.length > 0 ? scales : undefined,
  };
  let sampled: SampledCodes | undefined;
  for await (const step of generate(decoder, { ...batch, trace: true, signal })) {
    onFraction((step.position + 1) / T);
    sampled = step;
  }
  return sampled!; // T ≥ 1, and the last step holds all
}
