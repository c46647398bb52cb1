import { dirname, resolve } from "node:path";
import { quote, splitLines, TensorARError } from "@tensorar/core";
import { readChecked, readText } from "@tensorar/core/node";
import { cocoClasses, type Detector, userDetector } from "@tensorar/metrics/features";
import type { NodeRuntime } from "@tensorar/onnx/node";
import { z } from "zod";
import { within } from "./within";

const numbers = z.tuple([z.number(), z.number(), z.number()]);
const filter = z.enum(["bilinear", "bicubic"]);

/** As `Preprocessing` of @tensorar/metrics. */
export const preprocessingSchema = z.strictObject({
  size: z.tuple([z.int(), z.int()]),
  resize: z.union([
    z.literal("none"),
    z.strictObject({ filter, shorterSide: z.int() }),
    z.strictObject({ filter, pad: z.enum(["end", "around"]) }),
    z.strictObject({ filter }),
  ]),
  mean: numbers,
  std: numbers,
  layout: z.enum(["NCHW", "NHWC"]),
});

const COCO = { "coco-80": 80, "coco-91": 91 } as const;

const schema = z.strictObject({
  /** ONNX file; paths are seen from the folder of this file. */
  model: z.string(),
  preprocessing: preprocessingSchema,
  outputs: z.discriminatedUnion("kind", [
    z.strictObject({ kind: z.literal("boxes"), boxes: z.string(), labels: z.string(), scores: z.string() }),
    z.strictObject({ kind: z.literal("dets"), dets: z.string(), labels: z.string() }),
    z.strictObject({
      kind: z.literal("queries"),
      logits: z.string(),
      boxes: z.string(),
      scores: z.enum(["softmax", "sigmoid"]),
    }),
  ]),
  /** "coco-80", "coco-91", or a text file with one name a line; an empty line is a label that stands for nothing. */
  classes: z.string(),
  input: z.string().optional(),
  mask: z.string().optional(),
});

/** What a file says of a detector. */
export type DetectorFile = z.infer<typeof schema>;

/** @throws TensorARError naming the file, and what does not fit */
export const readDetectorFile = (path: string): Promise<DetectorFile> =>
  readChecked(path, schema, "the description of a detector (model, preprocessing, outputs, classes)");

/** Names of the labels of a detector. */
export async function classesOf(path: string, { classes }: DetectorFile): Promise<string[]> {
  if (classes in COCO) return cocoClasses(COCO[classes as keyof typeof COCO]);
  const names = resolve(dirname(path), classes);
  const text = await readText(names).catch((cause: Error) => {
    const remedy = `give ${Object.keys(COCO).join(", ")}, or a file with one name a line`;
    throw new TensorARError(`${path}: classes ${quote(classes)}: ${cause.message}; ${remedy}`, { cause });
  });
  const known = splitLines(text.trimEnd()).map((name) => name.trim()); // an empty line is a label without a class
  if (known.every((name) => name === "")) throw new TensorARError(`${names}: holds no name; write one a line`);
  return known;
}

/** @throws TensorARError naming the file, and what does not fit */
export async function openDetector(
  path: string,
  file: DetectorFile,
  runtime: NodeRuntime,
  threads: number,
): Promise<Detector> {
  const { model, preprocessing, outputs, input, mask } = file;
  const classes = await classesOf(path, file);
  const named = { ...(input !== undefined && { input }), ...(mask !== undefined && { mask }) };
  const detector = await within(path, () =>
    userDetector({
      runtime,
      model: resolve(dirname(path), model),
      preprocessing,
      outputs,
      classes,
      ...named,
      threads,
    }),
  );
  return { ...detector, detect: (images) => within(path, () => detector.detect(images)) };
}
