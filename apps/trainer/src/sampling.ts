import { TensorARError } from "@tensorar/core";
import { PAD } from "@tensorar/noise";
import { type Decoder, type DraftPolicy, type Guidance, generate, type PerFactor, speculate } from "@tensorar/sampler";
import { startProgress } from "./progress";

export interface SamplingOptions {
  readonly seed: number;
  readonly guidance: PerFactor<Guidance>;
  readonly temperature: PerFactor<number>;
  readonly topK: PerFactor<number>;
  readonly topP: PerFactor<number>;
  readonly drafts: DraftPolicy;
  readonly batchSize: number;
  /** Makes up to so many tokens final in a step, with drafts as proposals; images are made one by one then. */
  readonly lookahead?: number | undefined;
}

export interface SampledCodes {
  /** [N, T] */
  readonly codes: Int32Array;
  /** [N, T, k]: the draft of position p at depth j, first to final; PAD where there was none */
  readonly trace: Int32Array;
}

/** Samples one image for every entry of `conditions`, batch by batch; image i depends on the seed and i alone. */
export async function sampleCodes<C>(
  title: string,
  decoder: Decoder<C>,
  conditions: readonly C[],
  options: SamplingOptions,
  signal: AbortSignal,
): Promise<SampledCodes> {
  if (options.lookahead !== undefined) return sampleAhead(title, decoder, conditions, options, signal);
  const { tokens: T, windowSize: k } = decoder;
  const N = conditions.length;
  const codes = new Int32Array(N * T);
  const trace = new Int32Array(N * T * k);
  const { batchSize, lookahead: _, ...settings } = options;
  const progress = startProgress(title, N * T);
  for (let first = 0; first < N; first += batchSize) {
    const batch = conditions.slice(first, first + batchSize);
    const run = generate(decoder, { ...settings, conditions: batch, firstIndex: first, trace: true, signal });
    for (let event = await run.next(); ; event = await run.next()) {
      if (!event.done) {
        progress.update(first * T + (event.value.position + 1) * batch.length);
        continue;
      }
      if (!event.value.trace) throw new TensorARError("the sampler returned no refinement trace");
      codes.set(event.value.codes, first * T);
      trace.set(event.value.trace, first * T * k);
      break;
    }
  }
  progress.stop();
  return { codes, trace };
}

/** The same by speculative sampling; the trace holds final codes only. */
async function sampleAhead<C>(
  title: string,
  decoder: Decoder<C>,
  conditions: readonly C[],
  { lookahead, guidance, temperature, topK, topP, seed, drafts }: SamplingOptions,
  signal: AbortSignal,
): Promise<SampledCodes> {
  const { tokens: T, windowSize: k } = decoder;
  const N = conditions.length;
  const codes = new Int32Array(N * T);
  const trace = new Int32Array(N * T * k).fill(PAD);
  const draftTemperature = "temperature" in drafts ? drafts.temperature : undefined;
  const one = <V>(value: PerFactor<V>): V => (Array.isArray(value) ? value[0] : value) as V;
  const sampling = { temperature: one(temperature), topK: one(topK), topP: one(topP), guidance: one(guidance) };
  const progress = startProgress(title, N * T);
  let steps = 0;
  for (const [index, condition] of conditions.entries()) {
    const options = { ...sampling, condition, seed, index, lookahead: lookahead!, signal };
    const run = speculate(decoder, { ...options, ...(draftTemperature !== undefined && { draftTemperature }) });
    for (let event = await run.next(); ; event = await run.next()) {
      if (!event.done) {
        progress.update(index * T + event.value.position + 1);
        continue;
      }
      codes.set(event.value.codes, index * T);
      steps += event.value.steps;
      break;
    }
  }
  progress.stop();
  for (let at = 0; at < N * T; at++) trace[at * k + k - 1] = codes[at]!;
  console.log(`${((N * T) / steps).toFixed(2)} tokens a step`);
  return { codes, trace };
}
