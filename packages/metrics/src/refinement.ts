import { expectInteger, expectLength } from "./checks";
import { TensorARError } from "./errors";

const PAD = -1;

export interface RefinementShape {
  readonly images: number;
  readonly tokens: number;
  readonly windowSize: number;
}

export interface RefinementStatistics {
  /**
   * Share of positions whose final token differs from their first draft, among positions with a draft before the final
   * one. 0 where there are none, as with `windowSize` 1.
   */
  readonly flipRate: number;
  /**
   * `[windowSize]`: share of drafts that equal the final token, by depth from the earliest (0) to the final one, which
   * is 1. NaN at a depth that no position has a draft for.
   */
  readonly draftAccuracy: number[];
}

/**
 * What refinement changed, from the drafts of every position.
 * Source: ours, after the definition of a window in TensorAR (Cheng et al. 2026): a position is drafted up to k times.
 *
 * @param trace `[images, tokens, windowSize]`, codes from the earliest draft to the final token; -1 where there was none
 * @throws TensorARError where sizes do not fit, a final token is missing, or a code is below -1
 */
export function refinementStatistics(
  trace: Int32Array,
  { images, tokens, windowSize }: RefinementShape,
): RefinementStatistics {
  expectInteger("refinementStatistics", "images", images, 1, 2 ** 31);
  expectInteger("refinementStatistics", "tokens", tokens, 1, 2 ** 31);
  expectInteger("refinementStatistics", "windowSize", windowSize, 1, tokens);
  expectLength("refinementStatistics", "trace", trace.length, { images, tokens, windowSize });
  const drafts = new Float64Array(windowSize);
  const right = new Float64Array(windowSize);
  let [refined, flipped] = [0, 0];
  for (let at = 0; at < trace.length; at += windowSize) {
    checkPosition(trace, at, tokens, windowSize);
    const final = trace[at + windowSize - 1]!;
    let first = PAD;
    for (let depth = 0; depth < windowSize; depth++) {
      const draft = trace[at + depth]!;
      if (draft === PAD) continue;
      drafts[depth] = drafts[depth]! + 1;
      if (draft === final) right[depth] = right[depth]! + 1;
      if (first === PAD && depth < windowSize - 1) first = draft;
    }
    if (first === PAD) continue;
    refined++;
    if (first !== final) flipped++;
  }
  return {
    flipRate: refined === 0 ? 0 : flipped / refined,
    draftAccuracy: Array.from(right, (count, depth) => count / drafts[depth]!),
  };
}

function checkPosition(trace: Int32Array, at: number, tokens: number, windowSize: number): void {
  for (let depth = 0; depth < windowSize; depth++) {
    const code = trace[at + depth]!;
    if (code >= 0 || (code === PAD && depth < windowSize - 1)) continue;
    const position = at / windowSize;
    const place = `image ${Math.floor(position / tokens)}, token ${position % tokens}, depth ${depth}`;
    const remedy = "drafts are codes or -1, and the last one, the final token, is a code";
    throw new TensorARError(`refinementStatistics: ${code} at ${place}; ${remedy}`);
  }
}
