import { describe, expect, test } from "vitest";
import { createStream, fillUniform, fillWords, permutation, type RandomStream, TensorARError } from "../src/index";
import { scaleWord } from "../src/stream";
import { CHI_SQUARE_CRITICAL, chiSquareUniform, correlation } from "./statistics";

const take = (n: number, stream: RandomStream) => Array.from({ length: n }, () => stream.uint32());

describe("addresses", () => {
  test("the same address gives the same numbers, whatever ran before", () => {
    const first = take(100, createStream(7, "sample", 3, 4));
    const other = createStream(7, "sample", 3, 5);
    const again = createStream(7, "sample", 3, 4);
    const interleaved = Array.from({ length: 100 }, () => {
      other.normal();
      return again.uint32();
    });
    expect(interleaved).toEqual(first);
  });

  test("different addresses share no block", () => {
    const addresses: [number, string, ...number[]][] = [];
    for (const name of ["corrupt", "sample", "init", "a", "a1", "1/a", "1", "ab", "ba"]) {
      for (const seed of [0, 1, 2, 2 ** 32, 2 ** 32 + 1, 2 ** 53 - 1]) {
        addresses.push([seed, name]);
        for (const i of [0, 1, 2, 2 ** 32 - 1]) {
          addresses.push([seed, name, i]);
          for (const j of [0, 1, 2 ** 32 - 1]) addresses.push([seed, name, i, j]);
        }
      }
    }
    const blocks = new Set<string>();
    for (const address of addresses) {
      const stream = createStream(...address);
      for (let block = 0; block < 16; block++) blocks.add(take(4, stream).join());
    }
    expect(addresses.length).toBe(9 * 6 * (1 + 4 + 4 * 3));
    expect(blocks.size).toBe(addresses.length * 16);
  });

  test("neighbouring addresses are uncorrelated", () => {
    const n = 20_000;
    const series = (...address: [number, string, ...number[]]) => {
      const stream = createStream(...address);
      return Float64Array.from({ length: n }, () => stream.uniform());
    };
    const base = series(1, "x", 5, 6);
    for (const other of [series(2, "x", 5, 6), series(1, "y", 5, 6), series(1, "x", 6, 6), series(1, "x", 5, 7)]) {
      expect(Math.abs(correlation(base, other))).toBeLessThan(5 / Math.sqrt(n));
    }
  });

  test.each<[string, () => unknown, RegExp]>([
    ["a negative seed", () => createStream(-1, "x"), /seed = -1 .* from 0 to 9007199254740991/],
    ["a fractional seed", () => createStream(0.5, "x"), /seed = 0.5/],
    ["a seed beyond 2^53", () => createStream(2 ** 53, "x"), /seed/],
    ["NaN", () => createStream(Number.NaN, "x"), /seed = NaN/],
    ["no name", () => createStream(1, ""), /name is empty; name/],
    ["three indices", () => createStream(1, "x", 1, 2, 3), /3 indices .* at most 2/],
    ["an index of 2^32", () => createStream(1, "x", 0, 2 ** 32), /index 1 = 4294967296 .* 4294967295/],
    ["below(0)", () => createStream(1, "x").below(0), /n = 0/],
    ["below(2^32)", () => createStream(1, "x").below(2 ** 32), /n = 4294967296/],
    ["a negative permutation", () => permutation(-1, 1, "x"), /n = -1/],
  ])("%s is refused", (_, call, message) => {
    expect(call).toThrow(TensorARError);
    expect(call).toThrow(message);
  });
});

describe("distributions", () => {
  test("uniform is an exact multiple of 2^-32 in [0, 1)", () => {
    const [words, values] = [createStream(3, "u"), createStream(3, "u")];
    for (let i = 0; i < 1000; i++) expect(values.uniform() * 2 ** 32).toBe(words.uint32());
  });

  test("uniform fills 512 bins evenly, and bits are fair", () => {
    const stream = createStream(11, "bins");
    const bins = new Int32Array(512);
    const ones = new Int32Array(32);
    const n = 500_000;
    for (let i = 0; i < n; i++) {
      const word = stream.uint32();
      bins[word >>> 23]!++;
      for (let bit = 0; bit < 32; bit++) ones[bit]! += (word >>> bit) & 1;
    }
    expect(chiSquareUniform(bins)).toBeLessThan(CHI_SQUARE_CRITICAL[511]!);
    for (const count of ones) expect(Math.abs(count - n / 2)).toBeLessThan(5 * Math.sqrt(n / 4));
  });

  test("normal has the moments and tails of the standard normal distribution", () => {
    const stream = createStream(5, "normal");
    const n = 400_000;
    const values = Float64Array.from({ length: n }, () => stream.normal());
    const moment = (power: number) => values.reduce((sum, value) => sum + value ** power, 0) / n;
    // Standard errors of the raw moments: sqrt((E x^2p - (E x^p)^2) / n).
    expect(Math.abs(moment(1))).toBeLessThan(5 * Math.sqrt(1 / n));
    expect(Math.abs(moment(2) - 1)).toBeLessThan(5 * Math.sqrt(2 / n));
    expect(Math.abs(moment(3))).toBeLessThan(5 * Math.sqrt(15 / n));
    expect(Math.abs(moment(4) - 3)).toBeLessThan(5 * Math.sqrt(96 / n));
    const beyondTwo = values.filter((value) => Math.abs(value) > 2).length / n;
    const expected = 0.0455002638963584; // 2 (1 - Φ(2))
    expect(Math.abs(beyondTwo - expected)).toBeLessThan(5 * Math.sqrt((expected * (1 - expected)) / n));
    expect(Math.abs(correlation(values.subarray(1), values.subarray(0, n - 1)))).toBeLessThan(5 / Math.sqrt(n));
  });

  test.each([16, 17, 24, 100])("below(%i) is uniform", (n) => {
    const stream = createStream(9, "below", n);
    const counts = new Int32Array(n);
    for (let i = 0; i < 200_000; i++) counts[stream.below(n)]!++;
    expect(chiSquareUniform(counts)).toBeLessThan(CHI_SQUARE_CRITICAL[n - 1]!);
  });

  test("below is unbiased where a plain product would favour half of the results", () => {
    // n = 3/4 · 2^32: without rejection, every third result would be twice as likely as the others.
    const n = 3 * 2 ** 30;
    const stream = createStream(9, "below");
    const counts = [0, 0, 0];
    for (let i = 0; i < 60_000; i++) counts[stream.below(n) % 3]!++;
    expect(chiSquareUniform(counts)).toBeLessThan(27.631021115928547); // scipy.stats.chi2.isf(1e-6, 2)
  });

  test("scaleWord rejects the fewest words that leave all results equally likely", () => {
    for (const n of [1, 2, 3, 1000, 2 ** 16 + 1, 2 ** 31, 2 ** 31 + 1, 2 ** 32 - 1]) {
      const perResult = Math.floor(2 ** 32 / n);
      for (const result of [0, 1, Math.floor(n / 2), n - 1].filter((value) => value < n)) {
        // The words of a result lie together, from result · 2^32 / n on: count them by stepping outwards.
        const firstWord = Math.ceil((result * 2 ** 32) / n);
        if (perResult > 100_000) {
          expect(scaleWord(firstWord + 1000, n)).toBe(result);
          continue;
        }
        let accepted = 0;
        for (let word = Math.max(0, firstWord - 2); word < Math.min(firstWord + perResult + 2, 2 ** 32); word++) {
          if (scaleWord(word, n) === result) accepted++;
        }
        expect(accepted).toBe(perResult);
      }
    }
  });
});

describe("fillWords", () => {
  test.each([0, 1, 4, 7, 32])("%i words are those of the stream", (count) => {
    const out = new Uint32Array(count);
    fillWords(out, 12, "words", 8, 3);
    expect([...out]).toEqual(take(count, createStream(12, "words", 8, 3)));
  });

  test("a bad address is refused", () => {
    expect(() => fillWords(new Uint32Array(1), -1, "words")).toThrow(/fillWords: seed = -1/);
  });
});

describe("fillUniform", () => {
  test.each([0, 1, 3, 4, 5, 1001])("fills %i numbers with the upper bits of the stream's words", (length) => {
    const out = new Float32Array(length).fill(Number.NaN);
    fillUniform(out, 12, "fill", 8);
    const stream = createStream(12, "fill", 8);
    for (const value of out) expect(value * 2 ** 24).toBe(stream.uint32() >>> 8);
  });

  test("stays below 1", () => {
    const out = new Float32Array(2 ** 20);
    fillUniform(out, 1, "fill");
    expect(out.reduce((max, value) => Math.max(max, value), 0)).toBeLessThan(1);
    expect(Math.abs(out.reduce((sum, value) => sum + value, 0) / out.length - 0.5)).toBeLessThan(
      5 / Math.sqrt(12 * 2 ** 20),
    );
  });
});

describe("permutation", () => {
  test.each([0, 1, 2, 50, 1000])("of %i holds every number once, the same each time", (n) => {
    const order = permutation(n, 4, "shuffle", 1);
    expect(Array.from(order).sort((a, b) => a - b)).toEqual(Array.from({ length: n }, (_, i) => i));
    expect(permutation(n, 4, "shuffle", 1)).toEqual(order);
    if (n >= 50) expect(permutation(n, 4, "shuffle", 2)).not.toEqual(order);
  });

  test("all 24 orders of 4 are equally likely", () => {
    const counts = new Map<string, number>();
    for (let i = 0; i < 24_000; i++) {
      const order = permutation(4, 1, "shuffle", i).join();
      counts.set(order, (counts.get(order) ?? 0) + 1);
    }
    expect(counts.size).toBe(24);
    expect(chiSquareUniform([...counts.values()])).toBeLessThan(CHI_SQUARE_CRITICAL[23]!);
  });
});
