import { quote, TensorARError } from "@tensorar/core";
import { BLANK, createStream } from "@tensorar/noise";

/**
 * What becomes of the drafts of entries 1 … k-1 before they are fed back. The paper feeds them back as sampled; a model
 * that trusts them too much does better when they are noised again.
 */
export type DraftPolicy =
  /** Sampled and fed back as they are: the paper's loop. */
  | { readonly kind: "raw"; readonly temperature?: DraftTemperature | undefined }
  /** Sampled, then replaced by a uniform code with probability `rates[j]`, which makes inputs look as in training. */
  | { readonly kind: "renoise"; readonly rates: ArrayLike<number>; readonly temperature?: DraftTemperature | undefined }
  /** The argmax code. */
  | { readonly kind: "argmax" }
  /** Sampled for the trace, but uniform codes are fed back: generation without drafts. */
  | { readonly kind: "noise" }
  /** Sampled for the trace, but blanks are fed back: generation without drafts, by models that know blanks. */
  | { readonly kind: "blank" };

/** Temperature of all drafts, or one for each depth 1 … k-1; 1 when left out. */
export type DraftTemperature = number | readonly number[];

const KINDS: readonly DraftPolicy["kind"][] = ["raw", "renoise", "argmax", "noise", "blank"];

interface WithTemperature {
  readonly kind: DraftPolicy["kind"];
  readonly temperature?: DraftTemperature | undefined;
}

/** Temperature that drafts of this depth are sampled at, 1 unless the policy says another. @param entry 1 … k-1 */
export function draftTemperatureOf(drafts: WithTemperature, entry: number): number {
  const temperature = drafts.temperature ?? 1;
  return typeof temperature === "number" ? temperature : temperature[entry - 1]!;
}

/** @throws TensorARError when the policy is unknown, or does not fit windows of k */
export function checkDrafts(drafts: DraftPolicy, windowSize: number): void {
  const kind: unknown = drafts?.kind;
  if (!KINDS.some((known) => known === kind))
    throw new TensorARError(`drafts of kind ${quote(kind)} are unknown; use ${KINDS.map(quote).join(", ")}`);
  checkTemperature(drafts, windowSize);
  if (drafts.kind !== "renoise") return;
  const given = drafts.rates?.length ?? 0;
  if (given !== windowSize) {
    throw new TensorARError(
      `draft rates: ${given} numbers for windows of ${windowSize}; pass β(0) … β(${windowSize - 1})`,
    );
  }
  const bad = Array.from(drafts.rates).findIndex((rate) => !(rate >= 0 && rate <= 1));
  if (bad >= 0) throw new TensorARError(`draft rates: β(${bad}) = ${drafts.rates[bad]} is no probability; use 0 … 1`);
}

function checkTemperature(drafts: WithTemperature, windowSize: number): void {
  const temperature = drafts.temperature ?? 1;
  if (typeof temperature !== "number" && temperature.length !== windowSize - 1)
    throw new TensorARError(
      `draft temperatures: ${temperature.length} numbers for windows of ${windowSize}; give one, or one for each depth 1 … ${windowSize - 1}`,
    );
  for (const each of [temperature].flat())
    if (!(each > 0 && Number.isFinite(each)))
      throw new TensorARError(`draft temperature ${each} is out of range; use a positive number, or kind "argmax"`);
}

/** What the model is shown instead of its drafts. @param fed [k]: entry 0 is final and stays; the others are changed in place */
export function disturbDrafts(
  drafts: DraftPolicy,
  vocabSize: number,
  address: { readonly seed: number; readonly image: number; readonly position: number },
  fed: Int32Array,
): void {
  if (drafts.kind === "raw" || drafts.kind === "argmax") return;
  if (drafts.kind === "blank") {
    fed.fill(BLANK, 1);
    return;
  }
  const stream = createStream(address.seed, "draft-noise", address.image, address.position);
  for (let entry = 1; entry < fed.length; entry++) {
    const rate = drafts.kind === "noise" ? 1 : drafts.rates[entry]!;
    // Both are taken whatever happens, so that an entry's numbers do not hang on those before it. V / 2^32 is no bias to see.
    const [chance, code] = [stream.uniform(), Math.floor(stream.uniform() * vocabSize)];
    if (chance < rate) fed[entry] = code;
  }
}
