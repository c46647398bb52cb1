import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { expectClose, hashValues, referenceFolder } from "../src";

interface Vector {
  readonly key: string;
  readonly index: number;
  readonly offset: number;
  readonly scale: number;
  readonly value: number;
}

const { rows } = JSON.parse(readFileSync(join(referenceFolder, "hash_vectors.json"), "utf8")) as { rows: Vector[] };

test.each(rows)("$key, element $index", ({ key, index, offset, scale, value }) => {
  expect(hashValues(key, index + 1, offset, scale)[index]).toBe(Math.fround(value));
});

const EXACT = { atol: 0, rtol: 0 };
test.each([
  ["nothing", [], []],
  ["another length", [1], [1, 2]],
  ["NaN on both sides", [Number.NaN], [Number.NaN]],
  ["infinity", [1], [Number.POSITIVE_INFINITY]],
  ["a difference", [1, 2], [1, 2.0000001]],
])("%s is not close", (_, actual, expected) => {
  expect(() => expectClose("x", actual, expected, EXACT)).toThrow(/x/);
});

test("a difference as large as allowed is close", () => {
  expectClose("x", [1.5, -2], [1, -2], { atol: 0.25, rtol: 0.25 });
});
