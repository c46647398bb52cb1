import { describe, expect, test } from "vitest";
import { type DraftPolicy, type Draws, generate } from "../src";
import { type Enumerable, exactDecoder, randomDistribution } from "./exact-decoder";

// What refinement does to the distribution of a model whose posteriors are exact. Expected values: the distribution itself, by
// enumeration, and the formula below for trusted drafts.

const SEED = 4;
const N = 12_000;

/** Draws images, and compares how often each came with its probability: χ², with one degree of freedom less than there are images. */
async function chiSquare(
  distribution: Enumerable,
  expected: readonly number[],
  {
    drafts,
    strength,
    rates,
    chained = true,
    draws,
  }: {
    readonly drafts: DraftPolicy;
    readonly strength: number;
    readonly rates: readonly number[];
    readonly chained?: boolean;
    readonly draws?: Draws;
  },
): Promise<number> {
  const { tokens, vocabSize, images } = distribution;
  const decoder = exactDecoder(distribution, { rates, chained });
  const options = { conditions: new Int32Array(N), seed: SEED, drafts, draws, leaveOneOut: { strength, rates } };
  let codes: Int32Array = new Int32Array();
  for await (const step of generate(decoder, options)) codes = step.codes;
  const counts = new Float64Array(images.length);
  for (let image = 0; image < N; image++)
    counts[
      Array.from({ length: tokens }, (_, token) => codes[image * tokens + token]! * vocabSize ** token).reduce(
        (a, b) => a + b,
      )
    ]!++;
  return counts.reduce((sum, count, i) => sum + (count - N * expected[i]!) ** 2 / (N * expected[i]!), 0);
}

describe("windows of three, whose tokens have several views", () => {
  const distribution = randomDistribution(3, 3, 1);
  const base = distribution.images.map(({ probability }) => probability);
  const rates = [0, 0.1, 0.3];
  const renoise = { kind: "renoise", rates } as const;
  // 26 degrees of freedom: exceeded once in 10⁴ by a right sampler.
  const CRITICAL = 61.9;

  test.each([0, 1])(
    "drafts noised again and drawn one after the other leave the distribution as it is, λ = %d",
    async (strength) => {
      expect(await chiSquare(distribution, base, { drafts: renoise, strength, rates })).toBeLessThan(CRITICAL);
    },
  );

  test("so do drafts that are withheld, if their numbers are nobody's else", async () => {
    // All views are noise, at a rate of 1 no evidence.
    const withheld = [0, 1, 1];
    const noise = { kind: "noise" } as const;
    for (const draws of ["step", "position"] as const)
      expect(await chiSquare(distribution, base, { drafts: noise, strength: 0, rates: withheld, draws })).toBeLessThan(
        CRITICAL,
      );
  });

  test("drafts that do not know of each other, or that are trusted, change it", async () => {
    for (const strength of [0, 1]) {
      const independent = await chiSquare(distribution, base, { drafts: renoise, strength, rates, chained: false });
      expect(independent).toBeGreaterThan(80); // once in 10⁷ by a sampler that leaves the distribution as it is
    }
    expect(await chiSquare(distribution, base, { drafts: { kind: "raw" }, strength: 0, rates })).toBeGreaterThan(
      5 * CRITICAL,
    );
  });
});

describe("windows of two: drafts fed back as they are", () => {
  const distribution = randomDistribution(2, 4, 2);
  const { images, vocabSize: V } = distribution;
  const beta = 0.5;
  const rates = [0, beta];
  // 15 degrees of freedom: exceeded once in 10⁴ by a right sampler.
  const CRITICAL = 44.6;

  /**
   * The second token is c if the draft was d, of probability p_d, and c is drawn from p_c · e^((1 - λ) w [c = d]), normalised, with
   * w = ln((1 - β + β/V) / (β/V)): likely codes gain what unlikely ones lose, unless λ = 1.
   */
  function predicted(strength: number): number[] {
    const gain = ((1 - beta + beta / V) / (beta / V)) ** (1 - strength);
    return images.map(({ codes: [first, second] }) => {
      const row = images.filter(({ codes }) => codes[0] === first);
      const total = row.reduce((sum, { probability }) => sum + probability, 0);
      const p = row.map(({ probability }) => probability / total);
      const share = p.reduce((sum, draft, d) => {
        const normal = 1 + (gain - 1) * draft;
        return sum + (draft * p[second!]! * (d === second ? gain : 1)) / normal;
      }, 0);
      return total * share;
    });
  }

  const entropy = (p: readonly number[]): number => p.reduce((sum, each) => sum - each * Math.log(each), 0);

  test.each([0, 0.5, 1])("sharpen the distribution by as much as theory predicts, λ = %d", async (strength) => {
    const expected = predicted(strength);
    expect(expected.reduce((a, b) => a + b)).toBeCloseTo(1, 10);
    const base = images.map(({ probability }) => probability);
    if (strength === 1) for (const [i, p] of expected.entries()) expect(p).toBeCloseTo(base[i]!, 12);
    else expect(entropy(expected)).toBeLessThan(entropy(base) - 0.01);
    const settings = { drafts: { kind: "raw" }, strength, rates } as const;
    expect(await chiSquare(distribution, expected, settings)).toBeLessThan(CRITICAL);
    if (strength < 1) expect(await chiSquare(distribution, base, settings)).toBeGreaterThan(2 * CRITICAL);
  });
});
