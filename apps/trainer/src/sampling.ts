import { type Decoder, type DraftPolicy, type Guidance, generate, type PerFactor } from "@tensorar/sampler";
import { TensorARError } from "./errors";
import { startProgress } from "./progress";

export interface SamplingOptions {
  readonly seed: number;
  readonly guidance: PerFactor<Guidance>;
  readonly temperature: PerFactor<number>;
  readonly topK: PerFactor<number>;
  readonly topP: PerFactor<number>;
  readonly drafts: DraftPolicy;
  readonly batchSize: number;
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
  const { tokens: T, windowSize: k } = decoder;
  const N = conditions.length;
  const codes = new Int32Array(N * T);
  const trace = new Int32Array(N * T * k);
  const { batchSize, ...settings } = options;
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
