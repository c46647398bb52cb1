import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import type { TensorData } from "@tensorar/checkpoint";
import { readSafetensors, writeSafetensors } from "@tensorar/checkpoint/node";
import { quote, TensorARError } from "@tensorar/core";
import { checkFolder, readChecked, settleFolder, writeChecksums, writeFileAtomic } from "@tensorar/core/node";
import { z } from "zod";

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
}

/** @param dir exists, or the folder that it is in does */
export async function saveCodes(
  dir: string,
  { codes, labels, train, validation, test, combinations, ...description }: Codes,
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
  const { count, grid, vocabSize, classes, captions } = description;
  const refuse = (what: string): never => {
    throw new TensorARError(`${file}: ${what}; write it again with \`tensorar codes\``);
  };
  const ints = (name: string, rank: number): Int32Array => {
    const tensor = tensors[name];
    if (!(tensor?.data instanceof Int32Array) || tensor.shape.length !== rank)
      return refuse(`no int32 tensor "${name}" of rank ${rank}`);
    return tensor.data;
  };
  const [codes, labels] = [ints("codes", 2), ints("labels", 1)];
  const [train, validation] = [ints("train", 1), ints("validation", 1)];
  const heldOut = {
    ...(tensors.test && { test: ints("test", 1) }),
    ...(tensors.combinations && { combinations: ints("combinations", 1) }),
  };
  const tokens = grid[0] * grid[1];
  if (tensors.codes!.shape.join() !== [count, tokens].join() || labels.length !== count)
    refuse(
      `codes [${tensors.codes!.shape}] and ${labels.length} labels do not make ${count} images of ${grid.join(" x ")} codes`,
    );
  if (captions !== undefined && captions.length !== count)
    throw new TensorARError(
      `${path}: ${captions.length} captions for ${count} images; write it again with \`tensorar codes\``,
    );
  const expectIn = (what: string, values: Int32Array, end: number) => {
    const bad = values.find((value) => value < 0 || value >= end);
    if (bad !== undefined) refuse(`${what} ${bad} is outside [0, ${end})`);
  };
  expectIn("code", codes, vocabSize);
  expectIn("label", labels, classes.length);
  const splits = Object.entries({ train, validation, ...heldOut });
  for (const [name, rows] of splits) expectIn(`row of ${name}`, rows, count);
  const all = splits.flatMap(([, rows]) => [...rows]);
  if (new Set(all).size !== all.length)
    refuse(`an image is twice among those for ${splits.map(([name]) => name).join(", ")}`);
  if (train.length === 0) refuse("no image is for training");
  const twice =
    new Set(classes).size === classes.length ? undefined : classes.find((name, i) => classes.indexOf(name) !== i);
  if (twice !== undefined)
    throw new TensorARError(`${path}: two classes are named ${quote(twice)}; write it again with other names`);
  await checkFolder(dir); // last, since the checks above say more exactly what is wrong
  return {
    ...description,
    codes,
    labels,
    train,
    validation,
    ...heldOut,
  };
}
