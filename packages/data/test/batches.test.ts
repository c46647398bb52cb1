import { describe, expect, test } from "vitest";
import { batchIndices } from "../src/dataset/batches";

const batches = (count: number, batchSize: number, seed: number, steps: number): number[] =>
  Array.from({ length: steps }, (_, step) => [...batchIndices({ count, batchSize, seed, step })]).flat();

describe("batchIndices", () => {
  test.each([
    [10, 5],
    [10, 3],
    [7, 20],
    [1, 4],
  ])("%i items in batches of %i: every epoch is a permutation", (count, batchSize) => {
    const drawn = batches(count, batchSize, 1, count); // count · batchSize items: batchSize whole epochs
    for (let epoch = 0; epoch < batchSize; epoch++) {
      expect(drawn.slice(epoch * count, (epoch + 1) * count).sort((a, b) => a - b)).toEqual(
        Array.from({ length: count }, (_, i) => i),
      );
    }
  });

  test("epochs and seeds differ", () => {
    const [first, second] = [0, 1].map((step) => [...batchIndices({ count: 50, batchSize: 50, seed: 3, step })]);
    expect(first).not.toEqual(second);
    expect([...batchIndices({ count: 50, batchSize: 50, seed: 4, step: 0 })]).not.toEqual(first);
  });

  test("any step can be asked for first, in any order", () => {
    const straight = batches(100, 8, 5, 200);
    for (const step of [199, 3, 150, 0, 77, 12, 198]) {
      expect([...batchIndices({ count: 100, batchSize: 8, seed: 5, step })]).toEqual(
        straight.slice(step * 8, step * 8 + 8),
      );
    }
  });

  test("items do not depend on the batch size", () => {
    expect(batches(30, 10, 2, 12)).toEqual(batches(30, 4, 2, 30));
  });

  test("all positions of the order are alike", () => {
    const firsts = new Array(5).fill(0);
    for (let seed = 0; seed < 2000; seed++) firsts[batchIndices({ count: 5, batchSize: 1, seed, step: 0 })[0]!]++;
    for (const count of firsts) expect(Math.abs(count - 400)).toBeLessThan(90); // five standard deviations of 17.9
  });

  test.each([
    [{ count: 0 }, /count = 0/],
    [{ batchSize: 0 }, /batchSize = 0/],
    [{ step: -1 }, /step = -1/],
    [{ step: 0.5 }, /step = 0.5/],
  ])("refuses %o", (wrong, message) => {
    expect(() => batchIndices({ count: 3, batchSize: 1, seed: 0, step: 0, ...wrong })).toThrow(message);
  });
});
