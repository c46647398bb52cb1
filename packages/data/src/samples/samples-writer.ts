import { existsSync } from "node:fs";
import { mkdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { serializeSafetensors } from "@tensorar/checkpoint";
import { quote, TensorARError } from "@tensorar/core";
import { CHECKSUMS, fileError, removeLeftovers, writeFileAtomic } from "@tensorar/core/node";
import { copyRows, emptyRows, rowTensors, type SampleRows } from "./sample-rows";
import { readWhole, sha256Of } from "./samples-folder";
import {
  imagesPath,
  manifestPath,
  readManifest,
  SAMPLES_ENTRIES,
  type SamplesDescription,
  type SamplesManifest,
  SHARD_SIZE,
  type Shard,
  type ShardedManifest,
  shardName,
  shardsOf,
} from "./samples-manifest";

/**
 * Writes a folder of samples shard by shard. A shard holds a fixed range of images, so it does not depend on the batches that
 * they were made in; it appears whole, and then the manifest lists it.
 */
export interface SamplesWriter {
  /** Samples that are stored. */
  readonly stored: number;
  /** Whether all of these samples are stored. */
  has(first: number, count: number): boolean;
  /**
   * Takes the samples from `first` on; those of stored shards are passed over. Those of a shard come in order, and the shard
   * is written with the last of them.
   */
  add(first: number, rows: SampleRows): Promise<void>;
}

/** Called with each shard's images when it is written, before the manifest lists it. */
export type OnShard = (first: number, images: Uint8Array) => Promise<void>;

/** Begins a folder of samples. What such a folder held before is removed with the first shard. */
export function beginSamples(dir: string, description: SamplesDescription, onShard: OnShard): SamplesWriter {
  return writer(dir, { ...description, shards: { size: SHARD_SIZE, sha256: {} } }, onShard, async () => {
    await removeLeftovers(dir);
    for (const name of [...SAMPLES_ENTRIES, CHECKSUMS]) await remove(join(dir, name));
    await makeFolder(join(dir, "shards"));
  });
}

/**
 * Continues a folder of samples: shards that are there, and as they were written, stay.
 * @throws TensorARError when there is none, or it was begun with something else: the first difference is named
 */
export async function continueSamples(
  dir: string,
  description: SamplesDescription,
  onShard: OnShard,
): Promise<{ readonly writer: SamplesWriter /** Shards that are made again. */; readonly damaged: number }> {
  await expectSamples(dir);
  const manifest = await readManifest(dir);
  const { shards } = manifest;
  if (shards === undefined)
    throw new TensorARError(`${dir} holds samples in one file, which are complete; leave --resume out`);
  expectSame(dir, manifest, description);
  const listed = shardsOf(dir, manifest).filter((shard) => shard.sha256 !== undefined);
  const sha256: Record<string, string> = {};
  for (const shard of listed) if (await readWhole(shard)) sha256[shardName(shard.first / shards.size)] = shard.sha256!;
  for (const folder of [dir, join(dir, "shards"), imagesPath(dir)]) await removeLeftovers(folder);
  await remove(join(dir, CHECKSUMS)); // of a manifest that is about to change
  const whole = { ...manifest, shards: { ...shards, sha256 } };
  return {
    writer: writer(dir, whole, onShard, () => makeFolder(join(dir, "shards"))),
    damaged: listed.length - Object.keys(sha256).length,
  };
}

/** @throws TensorARError when a folder holds no samples to continue */
export async function expectSamples(dir: string): Promise<void> {
  if (!existsSync(manifestPath(dir)))
    throw new TensorARError(`${dir} holds no samples to continue; check --output, or leave --resume out`, {
      code: "missing",
    });
}

function expectSame(dir: string, manifest: SamplesManifest, description: SamplesDescription): void {
  const now = JSON.parse(JSON.stringify(description)) as SamplesDescription; // as the file holds it
  const differ = (what: string, then: unknown, given: unknown): void => {
    if (JSON.stringify(then) === JSON.stringify(given)) return;
    const [was, is] = [then, given].map((value) => (value === undefined ? "not given" : quote(value)));
    throw new TensorARError(
      `${dir} was begun with other settings: ${what} was ${was}, and is ${is} now; use what it was begun with, or another --output`,
    );
  };
  const { settings, inputs = {} } = manifest;
  for (const key of new Set([...Object.keys(now.settings), ...Object.keys(settings)]))
    differ(`"${key}"`, settings[key], now.settings[key]);
  for (const key of Object.keys(now.inputs ?? {})) differ(`the SHA-256 of ${key}`, inputs[key], now.inputs![key]);
  for (const key of ["count", "imageSize", "windowSize", "grid", "vocabSize", "classes"] as const)
    differ(`"${key}"`, manifest[key], now[key]);
}

function writer(dir: string, manifest: ShardedManifest, onShard: OnShard, begin: () => Promise<void>): SamplesWriter {
  const shards = shardsOf(dir, manifest);
  const { size } = manifest.shards;
  const stored = new Map(Object.entries(manifest.shards.sha256));
  const touched = (first: number, count: number) =>
    shards.slice(Math.floor(first / size), Math.ceil((first + count) / size));
  const isStored = (shard: Shard) => stored.has(shardName(shard.first / size));
  const saveManifest = async () => {
    const shards = { size, sha256: Object.fromEntries([...stored].sort()) };
    await writeFileAtomic(manifestPath(dir), `${JSON.stringify({ ...manifest, shards }, null, 2)}\n`);
  };
  let pending: { readonly shard: Shard; readonly rows: SampleRows; filled: number } | undefined;
  let begun = false;

  const store = async (shard: Shard, rows: SampleRows) => {
    if (!begun) {
      await begin();
      await saveManifest();
      begun = true;
    }
    const bytes = serializeSafetensors(rowTensors(manifest, rows, shard.count));
    await writeFileAtomic(shard.path, bytes);
    await onShard(shard.first, rows.images);
    stored.set(shardName(shard.first / size), sha256Of(bytes));
    await saveManifest();
  };

  return {
    get stored() {
      return shards.filter(isStored).reduce((sum, { count }) => sum + count, 0);
    },
    has: (first, count) => touched(first, count).every(isStored),
    async add(first, rows) {
      const count = rows.labels.length;
      for (const shard of touched(first, count)) {
        if (isStored(shard)) continue;
        if (pending?.shard !== shard) pending = { shard, rows: emptyRows(manifest, shard.count), filled: 0 };
        const begin = shard.first + pending.filled;
        const end = Math.min(first + count, shard.first + shard.count);
        if (begin < first)
          throw new TensorARError(`samples ${begin} … ${first - 1} of ${shard.path} were left out; add them in order`);
        copyRows(manifest, rows, begin - first, pending.rows, pending.filled, end - begin);
        pending.filled += end - begin;
        if (pending.filled < shard.count) continue;
        await store(shard, pending.rows);
        pending = undefined;
      }
    },
  };
}

async function makeFolder(path: string): Promise<void> {
  await mkdir(path, { recursive: true }).catch((cause) => {
    throw fileError("create the folder", path, cause);
  });
}

async function remove(path: string): Promise<void> {
  await rm(path, { recursive: true, force: true }).catch((cause) => {
    throw fileError("remove", path, cause);
  });
}
