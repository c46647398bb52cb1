import { PAD } from "@tensorar/noise";
import { type Decoder, type DraftPolicy, type Guidance, generate, type PerFactor, speculate } from "@tensorar/sampler";

export interface SamplingOptions {
  readonly seed: number;
  readonly guidance: PerFactor<Guidance>;
  readonly temperature: PerFactor<number>;
  readonly topK: PerFactor<number>;
  readonly topP: PerFactor<number>;
  readonly drafts: DraftPolicy;
}

/** How images are made one by one with drafts as proposals; several tokens become final in a step. */
export interface AheadOptions {
  readonly seed: number;
  readonly guidance: Guidance;
  readonly temperature: number;
  readonly topK: number;
  readonly topP: number;
  /** Tokens that one step may make final. */
  readonly lookahead: number;
  readonly draftTemperature?: number | undefined;
}

export interface SampledCodes {
  /** [n, T] */
  readonly codes: Int32Array;
  /** [n, T, k]: the draft of position p at depth j, first to final; PAD where there was none */
  readonly trace: Int32Array;
  /** Steps that made them, T for each image unless drafts are proposals. */
  readonly steps: number;
}

/** Called with the share of a batch's work that is done, in (0, 1]. */
export type OnShare = (share: number) => void;

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
  onShare: OnShare,
): Promise<SampledCodes> {
  const { tokens: T } = decoder;
  let sampled: SampledCodes | undefined;
  for await (const step of generate(decoder, { ...options, conditions, firstIndex: first, trace: true, signal })) {
    onShare((step.position + 1) / T);
    sampled = { codes: step.codes, trace: step.trace, steps: conditions.length * T };
  }
  return sampled!; // T ≥ 1, and the last step holds all
}

/** The same with drafts as proposals; the trace holds final codes only. */
export async function sampleAhead<C>(
  decoder: Decoder<C>,
  conditions: readonly C[],
  first: number,
  options: AheadOptions,
  signal: AbortSignal,
  onShare: OnShare,
): Promise<SampledCodes> {
  const { tokens: T, windowSize: k } = decoder;
  const n = conditions.length;
  const codes = new Int32Array(n * T);
  let steps = 0;
  for (const [row, condition] of conditions.entries()) {
    let own = 0;
    for await (const step of speculate(decoder, { ...options, condition, index: first + row, signal })) {
      onShare((row * T + step.position + 1) / (n * T));
      codes.set(step.codes, row * T);
      own = step.steps;
    }
    steps += own;
  }
  const trace = new Int32Array(n * T * k).fill(PAD);
  for (let at = 0; at < n * T; at++) trace[at * k + k - 1] = codes[at]!;
  return { codes, trace, steps };
}
