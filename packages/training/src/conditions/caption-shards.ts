import { join } from "node:path";
import { castTensor, toFloat32 } from "@tensorar/checkpoint";
import { openSafetensors, writeSafetensors } from "@tensorar/checkpoint/node";
import { TensorARError } from "@tensorar/core";
import { hashFile, readChecked, settleFolder, writeFileAtomic } from "@tensorar/core/node";
import { z } from "zod";

// N captions of a shard · n positions of all of them that are no padding · D width

const schema = z.strictObject({
  /** Images of the data set. */
  images: z.int().positive(),
  /** T: positions of a caption. */
  maxLength: z.int().positive(),
  /** D */
  width: z.int().positive(),
  /** Where captions are filled up when they are read. */
  padding: z.enum(["left", "right"]),
  dtype: z.enum(["float32", "float16"]),
  /** Images of a shard; the last one may hold fewer. */
  shardSize: z.int().positive(),
  /** SHA-256 of all captions, by which their data set is known again. */
  texts: z.string(),
  /** SHA-256 of the text encoder. */
  encoder: z.string(),
  /** SHA-256 of the shards that are there, by name. */
  shards: z.record(z.string(), z.string()),
});

/** What `captions.json` of a folder of features holds. */
export type CaptionIndex = z.infer<typeof schema>;

/** The file that makes a folder one of features of captions, and the folder of its shards. */
export const CAPTION_INDEX = "captions.json";
export const CAPTION_SHARDS = "shards";

/** What to do about shards that are missing or damaged. */
export const REMEDY = "continue with `tensorar captions --resume`, which makes again what is missing or damaged";

/** @throws TensorARError naming file and key where it is missing or no such index */
export async function readCaptionIndex(dir: string): Promise<CaptionIndex> {
  await settleFolder(dir);
  return readChecked(join(dir, CAPTION_INDEX), schema, "features of captions (written by `tensorar captions`)");
}

export function writeCaptionIndex(dir: string, index: CaptionIndex): Promise<void> {
  const shards = Object.fromEntries(Object.entries(index.shards).sort(([a], [b]) => (a < b ? -1 : 1)));
  return writeFileAtomic(join(dir, CAPTION_INDEX), `${JSON.stringify({ ...index, shards }, null, 2)}\n`);
}

/** Names of all shards, there or not. */
export const shardNames = ({ images, shardSize }: Pick<CaptionIndex, "images" | "shardSize">): string[] =>
  Array.from({ length: Math.ceil(images / shardSize) }, (_, i) => `${String(i).padStart(5, "0")}.safetensors`);

export const shardPath = (dir: string, name: string): string => join(dir, CAPTION_SHARDS, name);

/** The exponent of float16's infinities. */
const INFINITE = 0x7c00;

/** @throws TensorARError where features are beyond what the number format holds */
export async function writeShard(
  path: string,
  { width: D, dtype }: Pick<CaptionIndex, "width" | "dtype">,
  captions: readonly (readonly Float32Array[])[],
): Promise<string> {
  const all = captions.flat();
  const lengths = Int32Array.from(all, ({ length }) => length / D);
  const positions = lengths.reduce((sum, length) => sum + length, 0);
  const features = new Float32Array(positions * D);
  let at = 0;
  for (const caption of all) {
    features.set(caption, at);
    at += caption.length;
  }
  const stored = castTensor({ dtype: "float32", shape: [positions, D], data: features }, dtype);
  if (stored.data instanceof Uint16Array && stored.data.some((bits) => (bits & INFINITE) === INFINITE))
    throw new TensorARError(`${path}: features are beyond float16's 65504; use --dtype float32`);
  const counts = Int32Array.from(captions, ({ length }) => length);
  await writeSafetensors(path, {
    features: stored,
    lengths: { dtype: "int32", shape: [lengths.length], data: lengths },
    captions: { dtype: "int32", shape: [counts.length], data: counts },
  });
  return hashFile(path);
}

/** Where the captions of a shard are. */
export interface ShardLayout {
  /** [N + 1]: the first position of every caption. */
  readonly starts: Int32Array;
  /** [images + 1]: the first caption of every image. */
  readonly firsts: Int32Array;
}

/**
 * Reads where captions are, from a shard's header and its two lists; features are not read.
 * @param images of the shard
 * @throws TensorARError where its tensors are not what the index says
 */
export async function readLayout(path: string, index: CaptionIndex, images: number): Promise<ShardLayout> {
  const file = await openSafetensors(path).catch((cause) => {
    if (!(cause instanceof TensorARError)) throw cause;
    throw new TensorARError(`${cause.message}; ${REMEDY}`, { code: cause.code, cause });
  });
  try {
    const list = async (name: string) => (await file.read(name)).data as Int32Array;
    const [lengths, counts] = [await list("lengths"), await list("captions")];
    const { dtype, shape } = file.info("features");
    const [starts, firsts] = [sums(lengths), sums(counts)];
    const fits =
      lengths.every((length) => length >= 0 && length <= index.maxLength) &&
      counts.length === images &&
      counts.every((count) => count > 0) &&
      firsts.at(-1) === lengths.length &&
      dtype === index.dtype &&
      shape.join() === [starts.at(-1), index.width].join();
    if (fits) return { starts, firsts };
    throw new TensorARError(
      `${path}: holds ${counts.length} images, ${lengths.length} captions and features ${dtype} [${shape}], which are not those of ` +
        `${images} images that ${CAPTION_INDEX} lists; ${REMEDY}`,
    );
  } finally {
    await file.close();
  }
}

/** Features [end - first, D] of some positions of a shard. */
export async function readSlots(path: string, first: number, end: number): Promise<Float32Array> {
  const file = await openSafetensors(path);
  try {
    return toFloat32(await file.readRows("features", first, end));
  } finally {
    await file.close();
  }
}

/** 0 and the sums of the first 1, 2, … values. */
function sums(values: Int32Array): Int32Array {
  const out = new Int32Array(values.length + 1);
  for (const [i, value] of values.entries()) out[i + 1] = out[i]! + value;
  return out;
}
