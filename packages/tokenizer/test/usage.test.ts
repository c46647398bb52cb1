import { createStream } from "@tensorar/noise";
import { expect, test } from "vitest";
import { codebookUsage, countCodes, emptyUsage, recordCodes, USAGE_WINDOW } from "../src";

const same = (a: Int32Array, b: Int32Array): boolean => a.length === b.length && a.every((code, i) => code === b[i]);

test("a fresh memory holds code 0 only", () => {
  expect(emptyUsage()).toEqual(new Int32Array(65_536));
  expect(codebookUsage(emptyUsage(), 8)).toBe(1 / 8);
});

test("counts different codes, code 0 always among them until the memory is full", () => {
  const some = recordCodes(emptyUsage(), Int32Array.of(3, 5, 3));
  expect(codebookUsage(some, 8)).toBe(3 / 8);
  const full = recordCodes(some, new Int32Array(USAGE_WINDOW - 3).fill(7));
  expect(codebookUsage(full, 8)).toBe(3 / 8); // 3, 5, 7: the zeros are pushed out
  expect(codebookUsage(recordCodes(full, Int32Array.of(7)), 8)).toBe(3 / 8); // 3 is still there once
  expect(codebookUsage(recordCodes(full, Int32Array.of(7, 7, 7)), 8)).toBe(1 / 8);
});

test("remembers the latest codes in order, and leaves its argument as it is", () => {
  const stream = createStream(1, "codes");
  const history: number[] = Array.from(emptyUsage());
  let memory = emptyUsage();
  for (const count of [1, 1000, 40_000, 0, 30_000, USAGE_WINDOW]) {
    const codes = Int32Array.from({ length: count }, () => stream.below(500));
    history.push(...Array.from(codes));
    const before = memory.slice();
    const next = recordCodes(memory, codes);
    expect(same(memory, before)).toBe(true);
    memory = next;
    expect(same(memory, Int32Array.from(history.slice(-USAGE_WINDOW)))).toBe(true);
  }
});

test("countCodes counts each code", () => {
  expect(Array.from(countCodes(Int32Array.of(2, 0, 2, 3), 5))).toEqual([1, 0, 2, 1, 0]);
  expect(Array.from(countCodes(new Int32Array(0), 2))).toEqual([0, 0]);
});
