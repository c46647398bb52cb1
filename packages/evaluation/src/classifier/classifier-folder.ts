import { join } from "node:path";
import { castTensor, type FloatDType, type TensorData } from "@tensorar/checkpoint";
import { openSafetensors, writeSafetensors } from "@tensorar/checkpoint/node";
import { TensorARError } from "@tensorar/core";
import { checkFolder, readChecked, settleFolder, writeChecksums, writeFileAtomic } from "@tensorar/core/node";
import { z } from "zod";
import { type ClassifierConfig, classifierShapes } from "./network";

const CONFIG = "config.json";
const WEIGHTS = "model.safetensors";

const schema = z.strictObject({
  kind: z.literal("classifier"),
  config: z
    .strictObject({
      imageSize: z.int().positive().max(4096),
      widths: z.array(z.int().positive().max(4096)).min(1).max(8),
      hidden: z.int().positive().max(65_536),
      parts: z.array(z.strictObject({ name: z.string().min(1), values: z.array(z.string()).min(1) })).min(1),
    })
    .refine(({ imageSize, widths }) => imageSize % 2 ** (widths.length - 1) === 0, {
      message: "the image can't be halved so often",
      path: ["imageSize"],
    }),
  training: z.record(z.string(), z.unknown()).optional(),
  accuracy: z.record(z.string(), z.number()).optional(),
});

/** A classifier in memory. */
export interface ClassifierFolder {
  readonly config: ClassifierConfig;
  /** The settings that trained it, for the reader. */
  readonly training?: Readonly<Record<string, unknown>> | undefined;
  /** How good it is on real images that it was not trained on, for the reader. */
  readonly accuracy?: Readonly<Record<string, number>> | undefined;
  /** float32 */
  readonly tensors: Readonly<Record<string, TensorData>>;
}

/** Writes a classifier's folder, `config.json` and `model.safetensors`; `dir` exists already. */
export async function saveClassifier(
  dir: string,
  { tensors, ...described }: ClassifierFolder,
  dtype: FloatDType,
): Promise<void> {
  const cast = Object.entries(tensors).map(([name, tensor]): [string, TensorData] => [name, castTensor(tensor, dtype)]);
  await writeFileAtomic(join(dir, CONFIG), `${JSON.stringify({ kind: "classifier", ...described }, null, 2)}\n`);
  await writeSafetensors(join(dir, WEIGHTS), Object.fromEntries(cast));
  await writeChecksums(dir, [CONFIG, WEIGHTS]);
}

/** @throws TensorARError naming the file and what is wrong with it, when the folder holds no classifier */
export async function loadClassifier(dir: string): Promise<ClassifierFolder> {
  await settleFolder(dir);
  const path = join(dir, CONFIG);
  const { config, training, accuracy } = await readChecked(
    path,
    schema,
    "a classifier's folder (written by `tensorar classifier`)",
  );
  const file = await openSafetensors(join(dir, WEIGHTS));
  try {
    const tensors: Record<string, TensorData> = {};
    for (const [name, shape] of Object.entries(classifierShapes(config))) {
      const found = file.names.includes(name) ? file.info(name).shape : undefined;
      if (found?.join() !== shape.join())
        throw new TensorARError(
          `${file.path}: ${name} is ${found ? `[${found}]` : "missing"}, where ${path} says [${shape}]; train it again`,
          { code: "shape" },
        );
      tensors[name] = castTensor(await file.read(name), "float32");
    }
    await checkFolder(dir);
    return { config, training, accuracy, tensors };
  } finally {
    await file.close();
  }
}
