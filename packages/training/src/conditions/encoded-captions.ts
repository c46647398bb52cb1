import { noProgress, type StartProgress } from "@tensorar/core";
import type { Caption } from "@tensorar/sampler";
import type { TextEncoder, TextLosses, TruncatedText, UnknownWords } from "@tensorar/text-encoder";
import { paddedCaption, trimmedCaption } from "./trimmed-captions";

/** Captions as features of a text encoder, kept without their padding. */
export interface EncodedCaptions {
  /** Features [n, D] of each caption; none of one without words. */
  readonly trimmed: readonly Float32Array[];
  /** Caption `index` as the model takes it; one without words is that of none. */
  caption(index: number): Caption;
  readonly losses: TextLosses;
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
  const trimmed: Float32Array[] = [];
  const empty: number[] = [];
  const truncated: TruncatedText[] = [];
  const unknown: UnknownWords[] = [];
  const { update, stop } = (texts.length > AT_ONCE ? progress : noProgress)("encode", texts.length, "texts");
  try {
    for (let first = 0; first < texts.length; first += AT_ONCE) {
      const part = texts.slice(first, first + AT_ONCE);
      const encoded = await encoder.encode(part, signal);
      for (const i of part.keys()) trimmed.push(trimmedCaption(encoder, encoded, i));
      empty.push(...encoded.empty.map((text) => first + text));
      truncated.push(...encoded.truncated.map((each) => ({ ...each, text: first + each.text })));
      unknown.push(...encoded.unknown.map((each) => ({ ...each, text: first + each.text })));
      update(trimmed.length);
    }
  } finally {
    stop();
  }
  return {
    trimmed,
    caption: (index) => paddedCaption(encoder, encoder.padding, trimmed[index]!),
    losses: { empty, truncated, unknown },
  };
}
