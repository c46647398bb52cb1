import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { readSafetensors, writeSafetensors } from "@tensorar/checkpoint/node";
import { TensorARError } from "@tensorar/core";
import { writeFileAtomic } from "@tensorar/core/node";
import { z } from "zod";
import { readChecked } from "./checked-json";

const schema = z.strictObject({
  count: z.int().positive(),
  imageSize: z.int().positive(),
  windowSize: z.int().positive(),
  grid: z.tuple([z.int().positive(), z.int().positive()]),
  classes: z.array(z.string()),
  /** Every setting that made these samples. */
  settings: z.record(z.string(), z.unknown()),
});

/** Generated images with everything that is needed to make them again. */
export interface Samples extends z.infer<typeof schema> {
  /** uint8 [count, S, S, 3] */
  readonly images: Uint8Array;
  /** [count] */
  readonly labels: Int32Array;
  /** [count, T] */
  readonly codes: Int32Array;
  /** [count, T, k] */
  readonly trace: Int32Array;
}

export async function saveSamples(dir: string, { images, labels, codes, trace, ...manifest }: Samples): Promise<void> {
  await mkdir(dir, { recursive: true });
  const { count, imageSize, windowSize } = manifest;
  const tokens = codes.length / count;
  await writeSafetensors(join(dir, "samples.safetensors"), {
    images: { dtype: "uint8", shape: [count, imageSize, imageSize, 3], data: images },
    labels: { dtype: "int32", shape: [count], data: labels },
    codes: { dtype: "int32", shape: [count, tokens], data: codes },
    trace: { dtype: "int32", shape: [count, tokens, windowSize], data: trace },
  });
  await writeFileAtomic(join(dir, "manifest.json"), `${JSON.stringify(manifest, null, 2)}\n`);
}

export async function loadSamples(dir: string): Promise<Samples> {
  const manifest = await readChecked(
    join(dir, "manifest.json"),
    schema,
    "a folder of samples (written by `tensorar sample`)",
  );
  const file = join(dir, "samples.safetensors");
  const { images, labels, codes, trace } = await readSafetensors(file);
  if (
    !(images?.data instanceof Uint8Array) ||
    !(labels?.data instanceof Int32Array) ||
    !(codes?.data instanceof Int32Array) ||
    !(trace?.data instanceof Int32Array)
  ) {
    throw new TensorARError(
      `${file}: needs tensors images (uint8), labels, codes and trace (int32); write it again with \`tensorar sample\``,
    );
  }
  return { ...manifest, images: images.data, labels: labels.data, codes: codes.data, trace: trace.data };
}
