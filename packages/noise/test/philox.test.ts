import { describe, expect, test } from "vitest";
import { philox4x32, type Uint32x2, type Uint32x4 } from "../src/index";
import { multiplyHigh } from "../src/philox";

// The known answers of Random123 1.14, tests/kat_vectors, lines "philox4x32 10".
const KNOWN_ANSWERS: { counter: Uint32x4; key: Uint32x2; result: Uint32x4 }[] = [
  { counter: [0, 0, 0, 0], key: [0, 0], result: [0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8] },
  {
    counter: [0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff],
    key: [0xffffffff, 0xffffffff],
    result: [0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd],
  },
  {
    counter: [0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344],
    key: [0xa4093822, 0x299f31d0],
    result: [0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1],
  },
];

/** The round function as the paper states it, with 64-bit products. */
function philoxByBigInt(counter: Uint32x4, key: Uint32x2): Uint32x4 {
  let [c0, c1, c2, c3] = counter.map(BigInt) as [bigint, bigint, bigint, bigint];
  let [k0, k1] = key.map(BigInt) as [bigint, bigint];
  const word = (value: bigint) => value & 0xffffffffn;
  for (let round = 0; round < 10; round++) {
    const [product0, product1] = [c0 * 0xd2511f53n, c2 * 0xcd9e8d57n];
    [c0, c1, c2, c3] = [(product1 >> 32n) ^ c1 ^ k0, word(product1), (product0 >> 32n) ^ c3 ^ k1, word(product0)];
    [k0, k1] = [word(k0 + 0x9e3779b9n), word(k1 + 0xbb67ae85n)];
  }
  return [Number(c0), Number(c1), Number(c2), Number(c3)];
}

describe("philox4x32", () => {
  test.each(KNOWN_ANSWERS)("gives the known answer for counter $counter", ({ counter, key, result }) => {
    expect(philox4x32(counter, key)).toEqual(result);
  });

  test("equals the same rounds in 64-bit arithmetic for 2000 counters and keys", () => {
    let [counter, key]: [Uint32x4, Uint32x2] = [
      [1, 2, 3, 4],
      [5, 6],
    ];
    for (let i = 0; i < 2000; i++) {
      const result = philox4x32(counter, key);
      expect(result).toEqual(philoxByBigInt(counter, key));
      [counter, key] = [result, [result[3], result[1]]];
    }
  });
});

test("multiplyHigh is exact where carries pile up", () => {
  const edges = [
    0, 1, 0xffff, 0x10000, 0x10001, 0x7fffffff, 0x80000000, 0xfffeffff, 0xffff0000, 0xffff0001, 0xffffffff,
  ];
  for (const a of edges) {
    for (const b of edges) expect(multiplyHigh(a, b) >>> 0).toBe(Number((BigInt(a) * BigInt(b)) >> 32n));
  }
});
