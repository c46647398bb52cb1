import { noProgress, type StartProgress } from "@tensorar/core";
import type { Caption } from "@tensorar/sampler";
import {
  type EncodedTexts,
  encodingNotes,
  type TextEncoder,
  type TruncatedText,
  type UnknownWords,
} from "@tensorar/text-encoder";

/** Captions as features of a text encoder, kept without their padding. */
export interface EncodedCaptions {
  /** Caption `index` as the model takes it; one without words is that of none. */
  caption(index: number): Caption;
  /** What to tell the user about captions that are not read as they stand. */
  readonly notes: readonly string[];
}

/** Captions that are encoded in one call: their padding is in memory meanwhile, 60 MB for LlamaGen's. */
const AT_ONCE = 64;

/**
 * Encodes prompts or captions.
 * @param progress is shown for more than one call
 * @throws the reason of `signal` when it aborts
 */
export async function encodeCaptions(
  encoder: TextEncoder,
  texts: readonly string[],
  { signal, progress = noProgress }: { readonly signal?: AbortSignal; readonly progress?: StartProgress } = {},
): Promise<EncodedCaptions> {
  const kept: KeptCaption[] = [];
  const empty: number[] = [];
  const truncated: TruncatedText[] = [];
  const unknown: UnknownWords[] = [];
  const { update, stop } = (texts.length > AT_ONCE ? progress : noProgress)("encode", texts.length, "texts");
  try {
    for (let first = 0; first < texts.length; first += AT_ONCE) {
      const part = texts.slice(first, first + AT_ONCE);
      const encoded = await encoder.encode(part, signal);
      for (const i of part.keys()) kept.push(keep(encoder, encoded, i));
      empty.push(...encoded.empty.map((text) => first + text));
      truncated.push(...encoded.truncated.map((each) => ({ ...each, text: first + each.text })));
      unknown.push(...encoded.unknown.map((each) => ({ ...each, text: first + each.text })));
      update(kept.length);
    }
  } finally {
    stop();
  }
  return {
    caption: (index) => withPadding(encoder, kept[index]!),
    notes: encodingNotes({ empty, truncated, unknown }, encoder.maxLength),
  };
}

/** Features [n, D] of the slots from `first` on, which are those that are no padding. */
interface KeptCaption {
  readonly first: number;
  readonly features: Float32Array;
  readonly dropped: boolean;
}

function keep(
  { maxLength: T, width: D }: TextEncoder,
  { features, mask, empty }: EncodedTexts,
  text: number,
): KeptCaption {
  const own = mask.subarray(text * T, (text + 1) * T);
  const [first, end] = [own.indexOf(1), own.lastIndexOf(1) + 1];
  const from = text * T * D;
  return { first, features: features.slice(from + first * D, from + end * D), dropped: empty.includes(text) };
}

function withPadding({ maxLength: T, width: D }: TextEncoder, { first, features, dropped }: KeptCaption): Caption {
  const padded = new Float32Array(T * D);
  padded.set(features, first * D);
  const mask = new Float32Array(T).fill(1, first, first + features.length / D);
  return { features: padded, mask, dropped };
}
