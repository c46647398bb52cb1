import { PAD } from "@tensorar/noise";

/**
 * The codes of an image as they stood at every depth of refinement: depth 0 holds each position's first draft,
 * the last depth its final token. Positions whose tensor never reached that depth show their earliest draft.
 *
 * @param trace [N, T, k] drafts of every position, first to final
 * @returns [k, N, T]
 */
export function codesByDepth(trace: Int32Array, images: number, tokens: number, windowSize: number): Int32Array {
  const out = new Int32Array(windowSize * images * tokens);
  for (let position = 0; position < images * tokens; position++) {
    let earliest = windowSize - 1;
    while (earliest > 0 && trace[position * windowSize + earliest - 1] !== PAD) earliest--;
    for (let depth = 0; depth < windowSize; depth++) {
      out[depth * images * tokens + position] = trace[position * windowSize + Math.max(depth, earliest)]!;
    }
  }
  return out;
}
