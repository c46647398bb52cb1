import { quote, TensorARError } from "@tensorar/core";
import { createStream } from "@tensorar/noise";
import type { Categorical } from "./categorical";

/**
 * What becomes of the drafts of entries 1 … k-1 before they are fed back. The paper feeds them back as sampled; a model
 * that trusts them too much does better when they are noised again.
 */
export type DraftPolicy =
  /** Sampled and fed back as they are: the paper's loop. Temperature 1 when left out. */
  | { readonly kind: "raw"; readonly temperature?: number | undefined }
  /** Sampled, then replaced by a uniform code with probability `rates[j]`, which makes inputs look as in training. */
  | { readonly kind: "renoise"; readonly rates: ArrayLike<number>; readonly temperature?: number | undefined }
  /** The likeliest code. */
  | { readonly kind: "argmax" }
  /** Sampled for the trace, but uniform codes are fed back: generation without drafts. */
  | { readonly kind: "noise" };

const KINDS: readonly DraftPolicy["kind"][] = ["raw", "renoise", "argmax", "noise"];

/** Temperature that drafts are sampled at, 1 unless the policy says another. */
export const draftTemperatureOf = (drafts: DraftPolicy): number =>
  drafts.kind === "raw" || drafts.kind === "renoise" ? (drafts.temperature ?? 1) : 1;

/** @throws TensorARError when the policy is unknown, or does not fit windows of k */
export function checkDrafts(drafts: DraftPolicy, windowSize: number): void {
  const kind: unknown = drafts?.kind;
  if (!KINDS.some((known) => known === kind))
    throw new TensorARError(`drafts of kind ${quote(kind)} are unknown; use ${KINDS.map(quote).join(", ")}`);
  const temperature = draftTemperatureOf(drafts);
  if (!(temperature > 0 && Number.isFinite(temperature)))
    throw new TensorARError(
      `draft temperature ${temperature} is out of range; use a positive number, or kind "argmax"`,
    );
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

/**
 * Drafts of one row from its k rows of logits.
 * @param out [k]: entries 1 … count-1 are written
 */
export function sampleDrafts(
  drafts: DraftPolicy,
  categorical: Categorical,
  logits: Float32Array,
  offset: number,
  vocabSize: number,
  address: {
    readonly seed: number;
    readonly image: number;
    readonly position: number;
    readonly factor: number;
    readonly where: string;
  },
  out: Int32Array,
): void {
  if (out.length < 2) return; // windows of one, and the last position
  const stream = createStream(address.seed, streamPurpose("draft", address.factor), address.image, address.position);
  const options = { temperature: draftTemperatureOf(drafts), topK: 0, topP: 1 };
  for (let entry = 1; entry < out.length; entry++) {
    const row = offset + entry * vocabSize;
    out[entry] =
      drafts.kind === "argmax"
        ? categorical.likeliest(logits, row, address.where)
        : categorical.sample(logits, row, options, stream.uniform(), address.where);
  }
}

/** Purpose of random numbers for one sub-token; the first one's are those of a whole token. */
export const streamPurpose = (purpose: string, factor: number): string =>
  factor === 0 ? purpose : `${purpose}/${factor}`;

/** What the model is shown instead of its drafts. @param fed [k]: entry 0 is final and stays; the others are changed in place */
export function disturbDrafts(
  drafts: DraftPolicy,
  vocabSize: number,
  address: { readonly seed: number; readonly image: number; readonly position: number },
  fed: Int32Array,
): void {
  if (drafts.kind === "raw" || drafts.kind === "argmax") return;
  const stream = createStream(address.seed, "draft-noise", address.image, address.position);
  for (let entry = 1; entry < fed.length; entry++) {
    const rate = drafts.kind === "noise" ? 1 : drafts.rates[entry]!;
    // Both are taken whatever happens, so that an entry's numbers do not hang on those before it. V / 2^32 is no bias to see.
    const [chance, code] = [stream.uniform(), Math.floor(stream.uniform() * vocabSize)];
    if (chance < rate) fed[entry] = code;
  }
}
