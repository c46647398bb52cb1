import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import type { TensorData } from "@tensorar/checkpoint";
import { readSafetensors, writeSafetensors } from "@tensorar/checkpoint/node";
import { quote, TensorARError } from "@tensorar/core";
import { writeFileAtomic } from "@tensorar/core/node";
import { z } from "zod";
import { readChecked } from "./checked-json";

const schema = z.strictObject({
  count: z.int().positive(),
  grid: z.tuple([z.int().positive(), z.int().positive()]),
  vocabSize: z.int().positive(),
  classes: z.array(z.string()),
  dataset: z.string(),
  tokenizer: z.string(),
  /** One for every image, "" where it has none; absent where none has. */
  captions: z.array(z.string()).optional(),
});

/** A data set as codes: what AR models train on. */
export interface Codes extends z.infer<typeof schema> {
  /** [count, T] row-major */
  readonly codes: Int32Array;
  /** [count] class indices */
  readonly labels: Int32Array;
  /** Rows for training and for validation. */
  readonly train: Int32Array;
  readonly validation: Int32Array;
}

export async function saveCodes(
  dir: string,
  { codes, labels, train, validation, ...description }: Codes,
): Promise<void> {
  await mkdir(dir, { recursive: true });
  const row = (data: Int32Array): TensorData => ({ dtype: "int32", shape: [data.length], data });
  await writeSafetensors(join(dir, "codes.safetensors"), {
    codes: { dtype: "int32", shape: [description.count, codes.length / description.count], data: codes },
    labels: row(labels),
    train: row(train),
    validation: row(validation),
  });
  await writeFileAtomic(join(dir, "codes.json"), `${JSON.stringify(description, null, 2)}\n`);
}

export async function loadCodes(dir: string): Promise<Codes> {
  const description = await readChecked(
    join(dir, "codes.json"),
    schema,
    "a folder of codes (written by `tensorar codes`)",
  );
  const file = join(dir, "codes.safetensors");
  const tensors = await readSafetensors(file);
  const ints = (name: string): Int32Array => {
    const tensor = tensors[name];
    if (!(tensor?.data instanceof Int32Array))
      throw new TensorARError(`${file}: no int32 tensor "${name}"; write it again with \`tensorar codes\``);
    return tensor.data;
  };
  const [codes, labels, train, validation] = [ints("codes"), ints("labels"), ints("train"), ints("validation")];
  const tokens = description.grid[0] * description.grid[1];
  if (codes.length !== description.count * tokens || labels.length !== description.count) {
    throw new TensorARError(
      `${file}: ${codes.length} codes and ${labels.length} labels do not make ${description.count} images of ${tokens} tokens; write it again with \`tensorar codes\``,
    );
  }
  const { captions } = description;
  if (captions !== undefined && captions.length !== description.count) {
    throw new TensorARError(
      `${join(dir, "codes.json")}: ${captions.length} captions for ${description.count} images; write it again with \`tensorar codes\``,
    );
  }
  const bad = codes.find((code) => code < 0 || code >= description.vocabSize);
  if (bad !== undefined)
    throw new TensorARError(
      `${file}: code ${bad} is outside [0, ${description.vocabSize}); write it again with \`tensorar codes\``,
    );
  expectRange(`${file}: label`, labels, description.classes.length);
  for (const [name, rows] of Object.entries({ train, validation }))
    expectRange(`${file}: row of ${name}`, rows, description.count);
  const { classes } = description;
  const twice =
    new Set(classes).size === classes.length ? undefined : classes.find((name, i) => classes.indexOf(name) !== i);
  if (twice !== undefined)
    throw new TensorARError(
      `${join(dir, "codes.json")}: two classes are named ${quote(twice)}; write it again with other names`,
    );
  return { ...description, codes, labels, train, validation };
}

function expectRange(what: string, values: Int32Array, end: number): void {
  const bad = values.find((value) => value < 0 || value >= end);
  if (bad !== undefined)
    throw new TensorARError(`${what} ${bad} is outside [0, ${end}); write it again with \`tensorar codes\``);
}
