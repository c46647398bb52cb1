import { createStream } from "@tensorar/noise";
import { saveCodes } from "../src/codes/codes-folder";

/** A data set of random 3 × 3 grids of 11 codes in 2 classes, written where training commands look for one. */
export async function writeTinyCodes(dir: string): Promise<void> {
  const count = 24;
  const random = createStream(1, "tiny-codes");
  await saveCodes(dir, {
    count,
    grid: [3, 3],
    vocabSize: 11,
    classes: ["round", "square"],
    dataset: "none",
    tokenizer: "none",
    codes: Int32Array.from({ length: count * 9 }, () => random.below(11)),
    labels: Int32Array.from({ length: count }, (_, i) => i % 2),
    train: Int32Array.from({ length: 20 }, (_, i) => i),
    validation: Int32Array.from({ length: 4 }, (_, i) => 20 + i),
  });
}
