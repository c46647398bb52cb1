import { requireOptions, TensorARError } from "@tensorar/core";
import { expectInteger, expectLength } from "./checks";

const PAD = -1;

/** Sizes of a trace of refinement. */
export interface RefinementShape {
  readonly images: number;
  readonly tokens: number;
  readonly windowSize: number;
}

/** What steps of refinement do to drafts. */
export interface RefinementStatistics {
  /**
   * Fraction of positions whose final token differs from their first draft, among positions with a draft before the final
   * one. Absent where there are none, as with `windowSize` 1.
   */
  readonly flipRate?: number;
  /**
   * `[windowSize]`: fraction of drafts that equal the final token, by depth from the earliest (0) to the final one, which
   * is 1. NaN at a depth that no position has a draft for.
   */
  readonly draftAccuracy: number[];
  /**
   * `[windowSize]`: entropy in nats of all codes at a depth, of how often each was drawn: how varied drafts are. NaN at a
   * depth without drafts.
   */
  readonly entropy: number[];
  /** `[tokens]`: {@link flipRate} of each position, over the images; NaN where it has no draft before the final one. */
  readonly revisions: number[];
}

/** Refinement of images that come in pieces. */
export interface Refinement {
  /**
   * @param trace `[images, tokens, windowSize]`, codes from the earliest draft to the final token; -1 where there was none
   * @throws TensorARError where it is no whole number of images, a final token is missing, or a code is below -1
   */
  add(trace: Int32Array): void;
  /** Of what was added so far. @throws TensorARError where that is nothing */
  result(): RefinementStatistics;
}

/**
 * What refinement changed, from the drafts of every position, image after image.
 * Source: ours, after the definition of a window in TensorAR (Cheng et al. 2026): a position is drafted up to k times.
 */
export function createRefinement(shape: Omit<RefinementShape, "images">): Refinement {
  requireOptions("createRefinement", shape, ["tokens", "windowSize"]);
  const { tokens, windowSize } = shape;
  expectInteger("createRefinement", "tokens", tokens, 1, 2 ** 31);
  expectInteger("createRefinement", "windowSize", windowSize, 1, tokens);
  const counts = noCounts(tokens, windowSize);
  return {
    add(trace) {
      const added = trace.length / (tokens * windowSize);
      if (!Number.isInteger(added))
        throw new TensorARError(
          `refinement: ${trace.length} codes of trace are no whole number of images of ${tokens} tokens × ${windowSize}; pass all drafts of each image`,
        );
      for (let at = 0; at < trace.length; at += windowSize) checkPosition(trace, at, counts.images, tokens, windowSize);
      for (let at = 0; at < trace.length; at += windowSize)
        countPosition(counts, trace.subarray(at, at + windowSize), (at / windowSize) % tokens);
      counts.images += added;
    },
    result() {
      if (counts.images === 0) throw new TensorARError("refinement: there are no images; add at least one");
      return statisticsOf(counts);
    },
  };
}

/** What was seen so far. */
interface Counts {
  images: number;
  /** [windowSize]: drafts, those that equal the final token, and how often each code was one. */
  readonly drafts: Float64Array;
  readonly right: Float64Array;
  readonly drawn: readonly Map<number, number>[];
  /** [tokens]: positions with a draft, and those whose final token is another than the first. */
  readonly refined: Float64Array;
  readonly flipped: Float64Array;
}

const noCounts = (tokens: number, windowSize: number): Counts => ({
  images: 0,
  drafts: new Float64Array(windowSize),
  right: new Float64Array(windowSize),
  drawn: Array.from({ length: windowSize }, () => new Map<number, number>()),
  refined: new Float64Array(tokens),
  flipped: new Float64Array(tokens),
});

/** @param window the drafts of one position, [windowSize] */
function countPosition({ drafts, right, drawn, refined, flipped }: Counts, window: Int32Array, position: number): void {
  const final = window.at(-1)!;
  let first = PAD;
  for (const [depth, draft] of window.entries()) {
    if (draft === PAD) continue;
    drafts[depth]! += 1;
    drawn[depth]!.set(draft, (drawn[depth]!.get(draft) ?? 0) + 1);
    if (draft === final) right[depth]! += 1;
    if (first === PAD && depth < window.length - 1) first = draft;
  }
  if (first === PAD) return;
  refined[position]! += 1;
  if (first !== final) flipped[position]! += 1;
}

function statisticsOf({ drafts, right, drawn, refined, flipped }: Counts): RefinementStatistics {
  const [allRefined, allFlipped] = [refined, flipped].map((counts) => counts.reduce((a, b) => a + b));
  return {
    ...(allRefined! > 0 && { flipRate: allFlipped! / allRefined! }),
    draftAccuracy: Array.from(right, (count, depth) => count / drafts[depth]!),
    entropy: drawn.map(entropyOf),
    revisions: Array.from(flipped, (count, position) => count / refined[position]!),
  };
}

/**
 * {@link createRefinement} of a trace that is whole.
 *
 * @param trace `[images, tokens, windowSize]`, codes from the earliest draft to the final token; -1 where there was none
 * @throws TensorARError where sizes do not fit, a final token is missing, or a code is below -1
 */
export function refinementStatistics(trace: Int32Array, shape: RefinementShape): RefinementStatistics {
  requireOptions("refinementStatistics", shape, ["images", "tokens", "windowSize"]);
  const { images, tokens, windowSize } = shape;
  expectInteger("refinementStatistics", "images", images, 1, 2 ** 31);
  const refinement = createRefinement({ tokens, windowSize });
  expectLength("refinementStatistics", "trace", trace.length, { images, tokens, windowSize });
  refinement.add(trace);
  return refinement.result();
}

function entropyOf(counts: ReadonlyMap<number, number>): number {
  const total = [...counts.values()].reduce((sum, count) => sum + count, 0);
  if (total === 0) return Number.NaN;
  return [...counts.values()].reduce((sum, count) => sum - (count / total) * Math.log(count / total), 0);
}

/** @param images before the trace's first */
function checkPosition(trace: Int32Array, at: number, images: number, tokens: number, windowSize: number): void {
  for (let depth = 0; depth < windowSize; depth++) {
    const code = trace[at + depth]!;
    if (code >= 0 || (code === PAD && depth < windowSize - 1)) continue;
    const position = at / windowSize;
    const place = `image ${images + Math.floor(position / tokens)}, token ${position % tokens}, depth ${depth}`;
    const remedy = "drafts are codes or -1, and the last one, the final token, is a code";
    throw new TensorARError(`refinement: ${code} at ${place}; ${remedy}`);
  }
}
