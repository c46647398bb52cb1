import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { writeSafetensors } from "@tensorar/checkpoint/node";
import { TensorARError } from "@tensorar/core";
import { fileError, hashFile, inWorkFolder, isAbsent, removeLeftovers, writeFileAtomic } from "@tensorar/core/node";
import { variantCount } from "../images/variants";
import {
  AUGMENTATION_INDEX,
  AUGMENTED,
  type AugmentationIndex,
  type AugmentationSource,
  indexPath,
  nameOf,
  readIndex,
  SHARDS,
  shardCount,
  shardPath,
} from "./augmented-codes";

// M variants of an image · T tokens · n images

function writeIndex(dir: string, index: AugmentationIndex): Promise<void> {
  const shards = Object.fromEntries(Object.entries(index.shards).sort(([a], [b]) => (a < b ? -1 : 1)));
  return writeFileAtomic(indexPath(dir), `${JSON.stringify({ ...index, shards }, null, 2)}\n`);
}

/** Says in a new folder of codes that variants follow, which {@link writeAugmentedCodes} makes. */
export async function announceAugmentedCodes(dir: string, source: AugmentationSource): Promise<void> {
  await makeFolder(join(dir, AUGMENTED));
  await writeIndex(dir, { ...source, shards: {} });
}

/** How variants are made. */
export interface AugmentedCodesOptions {
  /** Codes [n, M, T] of the variants of some images, by their places among those that are trained on. */
  readonly encode: (images: readonly number[]) => Promise<Int32Array>;
  /** Images that `encode` is given at once, at most. */
  readonly batchSize: number;
  /** Is told how many images are done. */
  readonly onDone: (images: number) => void;
}

/**
 * Makes the variants that a folder of codes announces, shard by shard; shards that are whole stay. What is in memory is one shard.
 *
 * @throws TensorARError where they were begun from another source, another process makes them (code `locked`), or they can't be
 *   written; what `encode` throws
 */
export async function writeAugmentedCodes(
  dir: string,
  source: AugmentationSource,
  { encode, batchSize, onDone }: AugmentedCodesOptions,
): Promise<void> {
  const folder = join(dir, AUGMENTED);
  const files = { what: "codes of variants", mark: AUGMENTATION_INDEX, own: [SHARDS], results: [] };
  await inWorkFolder({ out: folder, resume: true, overwrite: false }, files, async () => {
    const { images, shardSize, tokens, augment } = source;
    let index: AugmentationIndex = { ...source, shards: await wholeShards(dir, source) };
    await makeFolder(join(folder, SHARDS));
    await removeLeftovers(join(folder, SHARDS));
    await writeIndex(dir, index);
    for (let shard = 0; shard < shardCount(source); shard++) {
      const first = shard * shardSize;
      const end = Math.min(images, first + shardSize);
      if (index.shards[nameOf(shard)] === undefined) {
        const perImage = variantCount(augment) * tokens;
        const codes = new Int32Array((end - first) * perImage);
        for (let start = first; start < end; start += batchSize) {
          const some = Array.from({ length: Math.min(batchSize, end - start) }, (_, i) => start + i);
          codes.set(await encode(some), (start - first) * perImage);
          onDone(start + some.length);
        }
        const sha256 = await writeShard(shardPath(dir, nameOf(shard)), codes, tokens);
        index = { ...index, shards: { ...index.shards, [nameOf(shard)]: sha256 } };
        await writeIndex(dir, index);
      }
      onDone(end);
    }
  });
}

/** @param codes [n · M, T] @returns its SHA-256 */
async function writeShard(path: string, codes: Int32Array, tokens: number): Promise<string> {
  await writeSafetensors(path, { codes: { dtype: "int32", shape: [codes.length / tokens, tokens], data: codes } });
  return hashFile(path);
}

/** Checksums of the shards that need not be made again. @throws TensorARError where they were begun from another source */
async function wholeShards(dir: string, source: AugmentationSource): Promise<Record<string, string>> {
  const { shards, ...begun } = await readIndex(dir);
  for (const [key, value] of Object.entries(source)) {
    const [before, now] = [JSON.stringify(begun[key as keyof typeof begun]), JSON.stringify(value)];
    if (before !== now)
      throw new TensorARError(
        `${indexPath(dir)}: these codes were begun with ${key} ${before}, and it is ${now} now; use the same, or --overwrite`,
      );
  }
  const whole: Record<string, string> = {};
  for (const [name, sha256] of Object.entries(shards)) {
    const path = shardPath(dir, name);
    if (!(await isAbsent(path)) && (await hashFile(path)) === sha256) whole[name] = sha256;
  }
  return whole;
}

async function makeFolder(folder: string): Promise<void> {
  await mkdir(folder, { recursive: true }).catch((cause) => {
    throw fileError("create the folder", folder, cause);
  });
}
