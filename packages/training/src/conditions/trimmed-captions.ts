import type { Caption } from "@tensorar/sampler";
import type { EncodedTexts, FeatureSize, TextEncoderDescription } from "@tensorar/text-encoder";

/** Where features of short captions are filled up. */
export type Padding = TextEncoderDescription["padding"];

/** Features [n, D] of a caption without its padding; n = 0 where it has no words. */
export function trimmedCaption(
  { maxLength: T, width: D }: FeatureSize,
  { features, mask, empty }: EncodedTexts,
  text: number,
): Float32Array {
  const own = mask.subarray(text * T, (text + 1) * T);
  const length = empty.includes(text) ? 0 : own.lastIndexOf(1) + 1 - own.indexOf(1);
  const from = (text * T + Math.max(0, own.indexOf(1))) * D;
  return features.slice(from, from + length * D);
}

/**
 * A caption as a model takes it.
 * @param features [n, D]; for none, which is what a caption without words becomes, one position is seen, as for the shortest caption
 */
export function paddedCaption(
  { maxLength: T, width: D }: FeatureSize,
  padding: Padding,
  features: Float32Array,
): Caption {
  const visible = Math.max(1, features.length / D);
  const first = padding === "left" ? T - visible : 0;
  const padded = new Float32Array(T * D);
  padded.set(features, first * D);
  return {
    features: padded,
    mask: new Float32Array(T).fill(1, first, first + visible),
    dropped: features.length === 0,
  };
}
