import { readFileSync } from "node:fs";
import { join } from "node:path";
import { writeChecksums } from "@tensorar/core/node";
import { expect, test } from "vitest";
import { CODES_FILES, type Codes, loadCodes, saveCodes } from "../src/codes/codes-folder";
import { temporaryFolder, writeAt } from "./data-helpers";

const root = temporaryFolder();

/** Six images of one code. */
const six: Codes = {
  count: 6,
  grid: [1, 1],
  vocabSize: 9,
  classes: ["only"],
  dataset: "none",
  tokenizer: "none",
  captions: [["a cat", "cat"], [], ["dog"], ["bird"], ["fish"], ["ant"]],
  codes: Int32Array.of(1, 2, 3, 4, 5, 6),
  labels: new Int32Array(6),
  train: Int32Array.of(0, 1),
  validation: Int32Array.of(2),
  test: Int32Array.of(3, 4),
  combinations: Int32Array.of(5),
};

test("a folder of codes keeps captions and splits", async () => {
  const dir = join(root, "six");
  await saveCodes(dir, six);
  expect(await loadCodes(dir)).toEqual(six);
});

test("a folder with one caption an image, as older versions wrote it, is read", async () => {
  const dir = join(root, "old");
  await saveCodes(dir, six);
  const description = JSON.parse(readFileSync(join(dir, "codes.json"), "utf8"));
  description.captions = ["a cat", "", "c", "d", "e", "f"];
  writeAt(join(dir, "codes.json"), JSON.stringify(description));
  await writeChecksums(dir, CODES_FILES);
  expect((await loadCodes(dir)).captions).toEqual([["a cat"], [], ["c"], ["d"], ["e"], ["f"]]);
});

test("an image in two splits is refused", async () => {
  const dir = join(root, "twice");
  await saveCodes(dir, { ...six, combinations: Int32Array.of(4) });
  await expect(loadCodes(dir)).rejects.toThrow(
    "an image is twice among those for train, validation, test, combinations",
  );
});
