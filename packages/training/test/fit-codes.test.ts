import { type Codes, loadCodes, saveCodes } from "@tensorar/data";
import { type LoadedModel, llamaGenConfig, type ModelDescription, modelOf } from "@tensorar/model";
import { expect, test } from "vitest";
import { temporaryFolder } from "../../data/test/data-helpers";
import { fitCodes, matchClasses } from "../src/conditions/fit-codes";

const indices = (count: number) => Array.from({ length: count }, (_, i) => String(i));

/** A model of one block with these classes; nothing here looks at its weights. */
function modelWith(classes: readonly string[], count = classes.length): LoadedModel {
  const description: ModelDescription = {
    kind: "llamagen",
    backbone: llamaGenConfig("GPT-B", { block_size: 4, vocab_size: 11, num_classes: count }),
    tensorar: { windowSize: 1, depth: 1, structure: "maps" },
    noiseRates: [0],
    grid: [2, 2],
    classes: [...classes],
  };
  return { ...description, tensors: {}, model: modelOf(description) };
}

const codesOf = (classes: readonly string[], labels: readonly number[], more: Partial<Codes> = {}): Codes => ({
  count: labels.length,
  grid: [2, 2],
  vocabSize: 11,
  classes: [...classes],
  dataset: "d",
  tokenizer: "t",
  codes: new Int32Array(4 * labels.length),
  labels: Int32Array.from(labels),
  train: Int32Array.of(0),
  validation: Int32Array.of(1),
  ...more,
});

const fit = (model: readonly string[], codes: Codes) => fitCodes(modelWith(model), "base", codes, "codes");

test("labels of folders in text order become the model's", () => {
  const order = ["0", "1", "10", "11", "2", "3", "4", "5", "6", "7", "8", "9"];
  const { codes, note } = fit(indices(12), codesOf(order, [0, 1, 2, 3, 4, 11]));
  expect([...codes.labels]).toEqual([0, 1, 10, 11, 2, 9]);
  expect(codes.classes).toEqual(indices(12));
  expect(note).toBe(
    'labels matched to the model\'s by name; 10 of 12 change: "10" is 10, not 2, "11" is 11, not 3, "2" is 2, not 4, "3" is 3, not 5, "4" is 4, not 6, …',
  );
});

test("labels that fit stay as they are, without a word", () => {
  const own = codesOf(["cat", "dog"], [1, 0, 1]);
  expect(fit(["cat", "dog"], own)).toEqual({ codes: own, note: undefined });
  const swapped = fit(["dog", "cat"], own);
  expect([...swapped.codes.labels]).toEqual([0, 1, 0]);
});

test("a model without names has indices", () => {
  expect(fitCodes(modelWith([], 2), "base", codesOf(["1", "0"], [0, 0, 1]), "codes").codes.labels).toEqual(
    Int32Array.of(1, 1, 0),
  );
});

test("other classes are refused with the first on each side and a way out", () => {
  expect(() => fit(indices(1000), codesOf(["n01440764", "n01443537"], [0, 1]))).toThrow(
    /class "n01440764" of codes is none of base's, and class "0" of base is none of codes's \(2 and 1000 classes\); this model knows classes by their index, 0 … 999: name folders, or the column "class", so; .* list all 1000, one a line, in a file for `tensorar data --class-names`/,
  );
  expect(() => fit(["cat", "dog", "hen"], codesOf(["cat", "hen"], [0, 1]))).toThrow(
    /^labels can't be matched: class "dog" of base is none of codes's \(2 and 3 classes\); name the classes as the model does/,
  );
  expect(() => fit(["cat"], codesOf(["cat", "owl"], [0, 1]))).toThrow(
    /class "owl" of codes is none of base's \(2 and 1/,
  );
});

test("names that come twice are refused, on either side", () => {
  const [good, bad] = [{ names: ["a", "b"], where: "good" }, { names: ["a", "b", "a"], where: "bad" }]; // biome-ignore format: pairs
  expect(() => matchClasses(good!, bad!)).toThrow(/^bad: classes 0 and 2 are both named "a"/);
  expect(() => matchClasses(bad!, good!)).toThrow(/^bad: classes 0 and 2 are both named "a"/);
});

test("codes of another codebook or grid, and names that are not as many as classes, are refused", () => {
  expect(() => fit(["a"], codesOf(["a"], [0], { vocabSize: 12 }))).toThrow(/made for 11 codes .* codes has 12/);
  expect(() => fit(["a"], codesOf(["a"], [0], { grid: [3, 3] }))).toThrow(/made for 4 tokens an image, codes has 9/);
  expect(() => fitCodes(modelWith(["a"], 2), "base", codesOf(["a"], [0]), "codes")).toThrow(
    /base\/config\.json names 1 classes, the model has 2/,
  );
});

test("a folder of codes is checked against itself", async () => {
  const dir = temporaryFolder();
  const good = codesOf(["a", "b"], [0, 1]);
  const load = async (more: Partial<Codes>) => {
    await saveCodes(dir, { ...good, ...more });
    return loadCodes(dir);
  };
  expect((await load({})).labels).toEqual(good.labels);
  await expect(load({ labels: Int32Array.of(0, 2) })).rejects.toThrow(
    /codes\.safetensors: label 2 is outside \[0, 2\)/,
  );
  await expect(load({ validation: Int32Array.of(-1) })).rejects.toThrow(/row of validation -1 is outside \[0, 2\)/);
  await expect(load({ classes: ["a", "a"] })).rejects.toThrow(/codes\.json: two classes are named "a"/);
});
