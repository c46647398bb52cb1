import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import type { TensorData } from "@tensorar/checkpoint";
import { readSafetensors, writeSafetensors } from "@tensorar/checkpoint/node";
import { quote, TensorARError } from "@tensorar/core";
import { checkFolder, readChecked, settleFolder, writeChecksums, writeFileAtomic } from "@tensorar/core/node";
import { z } from "zod";
import { type AugmentedCodes, openAugmentedCodes } from "./augmented-codes";

const captionsOfImage = z.array(z.string()).readonly();

const schema = z.strictObject({
  count: z.int().positive(),
  grid: z.tuple([z.int().positive(), z.int().positive()]),
  vocabSize: z.int().positive(),
  classes: z.array(z.string()),
  dataset: z.string(),
  tokenizer: z.string(),
  /** All captions of every image, or the one; absent where none has any. */
  captions: z
    .array(z.union([z.string().transform((one) => (one ? [one] : [])), captionsOfImage]))
    .readonly()
    .exactOptional(),
});

/** What a folder of codes holds. */
export const CODES_FILES = ["codes.json", "codes.safetensors"];

/** A data set as codes: what AR models train on. */
export interface Codes extends z.infer<typeof schema> {
  /** [count, T] row-major */
  readonly codes: Int32Array;
  /** [count] class indices */
  readonly labels: Int32Array;
  /** Rows for training and for validation. */
  readonly train: Int32Array;
  readonly validation: Int32Array;
  /** Rows that no training and no choice may see; absent where the data set names none. */
  readonly test?: Int32Array;
  /** Rows that combine what was only seen apart; absent where the data set names none. */
  readonly combinations?: Int32Array;
  /** Variants of the images for training; absent where none were made. */
  readonly augmented?: AugmentedCodes;
}

/** Writes codes but for variants, which `writeAugmentedCodes` adds. @param dir exists, or the folder that it is in does */
export async function saveCodes(
  dir: string,
  { codes, labels, train, validation, test, combinations, augmented: _, ...description }: Codes,
): Promise<void> {
  await mkdir(dir, { recursive: true });
  const row = (data: Int32Array): TensorData => ({ dtype: "int32", shape: [data.length], data });
  await writeSafetensors(join(dir, "codes.safetensors"), {
    codes: { dtype: "int32", shape: [description.count, codes.length / description.count], data: codes },
    labels: row(labels),
    train: row(train),
    validation: row(validation),
    ...(test && { test: row(test) }),
    ...(combinations && { combinations: row(combinations) }),
  });
  await writeFileAtomic(join(dir, "codes.json"), `${JSON.stringify(description, null, 2)}\n`);
  await writeChecksums(dir, CODES_FILES);
}

/** @throws TensorARError naming file and value, when the folder is missing, damaged, or contradicts itself */
export async function loadCodes(dir: string): Promise<Codes> {
  await settleFolder(dir);
  const path = join(dir, "codes.json");
  const description = await readChecked(path, schema, "a folder of codes (written by `tensorar codes`)");
  const file = join(dir, "codes.safetensors");
  const tensors = await readSafetensors(file);
  const refuse = (what: string): never => {
    throw new TensorARError(`${file}: ${what}; write it again with \`tensorar codes\``);
  };
  const codes: Codes = { ...description, ...readArrays(tensors, refuse) };
  const { count, grid, captions } = codes;
  const tokens = grid[0] * grid[1];
  if (tensors.codes!.shape.join() !== [count, tokens].join() || codes.labels.length !== count)
    refuse(
      `codes [${tensors.codes!.shape}] and ${codes.labels.length} labels do not make ${count} images of ${grid.join(" x ")} codes`,
    );
  if (captions !== undefined && captions.length !== count)
    throw new TensorARError(
      `${path}: ${captions.length} captions for ${count} images; write it again with \`tensorar codes\``,
    );
  checkValues(codes, refuse);
  checkSplits(codes, refuse);
  checkNames(path, codes.classes);
  await checkFolder(dir); // last, since the checks above say more exactly what is wrong
  const augmented = await openAugmentedCodes(dir, { images: codes.train.length, tokens, vocabSize: codes.vocabSize });
  return augmented ? { ...codes, augmented } : codes;
}

type Refuse = (what: string) => never;

/** The arrays of a folder of codes, of the right types and ranks. */
function readArrays(tensors: Readonly<Record<string, TensorData>>, refuse: Refuse) {
  const ints = (name: string, rank: number): Int32Array => {
    const tensor = tensors[name];
    if (!(tensor?.data instanceof Int32Array) || tensor.shape.length !== rank)
      return refuse(`no int32 tensor "${name}" of rank ${rank}`);
    return tensor.data;
  };
  return {
    codes: ints("codes", 2),
    labels: ints("labels", 1),
    train: ints("train", 1),
    validation: ints("validation", 1),
    ...(tensors.test && { test: ints("test", 1) }),
    ...(tensors.combinations && { combinations: ints("combinations", 1) }),
  };
}

/** Images by what they are for. */
const splitsOf = ({ train, validation, test, combinations }: Codes): [string, Int32Array][] =>
  Object.entries({ train, validation, ...(test && { test }), ...(combinations && { combinations }) });

/** Codes, labels and images are those that there are. */
function checkValues(codes: Codes, refuse: Refuse): void {
  const expectIn = (what: string, values: Int32Array, end: number) => {
    const bad = values.find((value) => value < 0 || value >= end);
    if (bad !== undefined) refuse(`${what} ${bad} is outside [0, ${end})`);
  };
  expectIn("code", codes.codes, codes.vocabSize);
  expectIn("label", codes.labels, codes.classes.length);
  for (const [name, images] of splitsOf(codes)) expectIn(`row of ${name}`, images, codes.count);
}

/** Some images are for training, and none is for two things. */
function checkSplits(codes: Codes, refuse: Refuse): void {
  const splits = splitsOf(codes);
  const all = splits.flatMap(([, images]) => [...images]);
  if (new Set(all).size !== all.length)
    refuse(`an image is twice among those for ${splits.map(([name]) => name).join(", ")}`);
  if (codes.train.length === 0) refuse("no image is for training");
}

/** No two classes have one name. */
function checkNames(path: string, classes: readonly string[]): void {
  const seen = new Set<string>();
  for (const name of classes) {
    if (seen.has(name))
      throw new TensorARError(`${path}: two classes are named ${quote(name)}; write it again with other names`);
    seen.add(name);
  }
}
