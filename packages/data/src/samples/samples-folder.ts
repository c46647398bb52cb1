import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { parseSafetensors } from "@tensorar/checkpoint";
import { openSafetensors, readSafetensors } from "@tensorar/checkpoint/node";
import { TensorARError } from "@tensorar/core";
import { checkFolder, fileError } from "@tensorar/core/node";
import { PAD } from "@tensorar/noise";
import { copyRows, emptyRows, rowShapes, type SampleRows } from "./sample-rows";
import { expectComplete, readManifest, type SamplesDescription, type Shard, shardsOf } from "./samples-manifest";

/** Generated images with everything that is needed to make them again, read a few at a time. */
export interface Samples extends Readonly<SamplesDescription> {
  /** T */
  readonly tokens: number;
  /** [count] indices into `classes` */
  readonly labels: Int32Array;
  /**
   * Samples `first` … `first + count - 1`. Holds one shard in memory, so read in order.
   * @throws TensorARError when a shard has changed since it was written, or holds codes that are none
   */
  read(first: number, count: number): Promise<SampleRows>;
}

const AGAIN = "make it again by `tensorar sample --resume` with the same settings";

/**
 * Opens a folder that `tensorar sample` wrote, of shards or of one file, and checks manifest and tensors against each other;
 * checksums and codes are checked where they are read.
 *
 * @throws TensorARError naming the file and what does not fit, or how many samples are there where some are missing
 */
export async function openSamples(dir: string): Promise<Samples> {
  await checkFolder(dir);
  const manifest = await readManifest(dir);
  expectComplete(dir, manifest); // first, as a count alone may be anything
  const { shards: _, ...description } = manifest;
  const shards = shardsOf(dir, manifest);
  const labelsOf: Int32Array[] = [];
  for (const shard of shards) labelsOf.push(await readLabels(shard, description));
  const labels = new Int32Array(description.count);
  for (const [i, { first }] of shards.entries()) labels.set(labelsOf[i]!, first);
  let held: { readonly shard: Shard; readonly rows: SampleRows } | undefined;
  return {
    ...description,
    tokens: description.grid[0] * description.grid[1],
    labels,
    async read(first, count) {
      const out = emptyRows(description, count);
      for (const shard of shards) {
        const [begin, end] = [Math.max(first, shard.first), Math.min(first + count, shard.first + shard.count)];
        if (begin >= end) continue;
        if (held?.shard !== shard) held = { shard, rows: await readShard(shard, description) };
        copyRows(description, held.rows, begin - shard.first, out, begin - first, end - begin);
      }
      return out;
    },
  };
}

/** Labels of a shard whose tensors have the types and shapes that the manifest says. */
async function readLabels({ path, count }: Shard, description: SamplesDescription): Promise<Int32Array> {
  if (!existsSync(path)) throw new TensorARError(`${path} is missing; ${AGAIN}`, { code: "missing" });
  const file = await openSafetensors(path);
  try {
    for (const [name, wanted] of Object.entries(rowShapes(description, count))) {
      const { dtype, shape } = file.info(name);
      if (dtype !== wanted.dtype || shape.length !== wanted.shape.length || shape.some((n, i) => n !== wanted.shape[i]))
        throw new TensorARError(
          `${path}: ${name} is ${dtype} [${shape}], where manifest.json says ${wanted.dtype} [${wanted.shape}]; ${AGAIN}`,
        );
    }
    const labels = (await file.read("labels")).data as Int32Array;
    const { classes } = description;
    const bad = labels.findIndex((label) => label < 0 || label >= classes.length);
    if (bad >= 0)
      throw new TensorARError(
        `${path}: label ${labels[bad]} of row ${bad} is none of the ${classes.length} classes of manifest.json; ${AGAIN}`,
      );
    return labels;
  } finally {
    await file.close();
  }
}

/** The bytes of a shard's file, as they were when it was written; undefined where they are not. */
export async function readWhole({ path, sha256 }: Shard): Promise<Uint8Array | undefined> {
  const bytes = await readFile(path).catch((cause: NodeJS.ErrnoException) => {
    if (cause.code === "ENOENT") return undefined;
    throw fileError("read", path, cause);
  });
  return bytes && sha256Of(bytes) === sha256 ? bytes : undefined;
}

export const sha256Of = (bytes: Uint8Array): string => createHash("sha256").update(bytes).digest("hex");

async function readShard(shard: Shard, description: SamplesDescription): Promise<SampleRows> {
  const { path, sha256 } = shard;
  const bytes = sha256 === undefined ? undefined : await readWhole(shard);
  if (sha256 !== undefined && !bytes)
    throw new TensorARError(`${path} has changed since it was written (its SHA-256 is another); ${AGAIN}`);
  const tensors = bytes ? parseSafetensors(bytes, path) : await readSafetensors(path);
  const [images, labels, codes, trace] = [tensors.images, tensors.labels, tensors.codes, tensors.trace].map(
    (tensor) => tensor!.data, // as checked when it was opened
  ) as [Uint8Array, Int32Array, Int32Array, Int32Array];
  const { vocabSize = Number.POSITIVE_INFINITY, windowSize } = description;
  expectCodes(`${path}: codes`, codes, 0, vocabSize, 1);
  expectCodes(`${path}: trace`, trace, PAD, vocabSize, windowSize);
  return { images, labels, codes, trace };
}

function expectCodes(what: string, codes: Int32Array, least: number, vocabSize: number, perToken: number): void {
  const bad = codes.findIndex((code) => code < least || code >= vocabSize);
  if (bad < 0) return;
  const range = Number.isFinite(vocabSize) ? `${least} … ${vocabSize - 1}` : `${least} or more`;
  throw new TensorARError(
    `${what} hold ${codes[bad]} at token ${Math.floor(bad / perToken)} of the file; codes are ${range}; ${AGAIN}`,
  );
}
