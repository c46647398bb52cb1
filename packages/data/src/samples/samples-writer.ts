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
  return new ShardWriter(dir, { ...description, shards: { size: SHARD_SIZE, sha256: {} } }, onShard, async () => {
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
    writer: new ShardWriter(dir, whole, onShard, () => makeFolder(join(dir, "shards"))),
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

/** A shard of which some samples came. */
interface Pending {
  readonly shard: Shard;
  readonly rows: SampleRows;
  filled: number;
}

class ShardWriter implements SamplesWriter {
  private readonly shards: readonly Shard[];
  private readonly size: number;
  /** SHA-256 by name. */
  private readonly sha256: Map<string, string>;
  private pending: Pending | undefined;
  private begun = false;

  /** @param begin makes the folder ready for the first shard */
  constructor(
    private readonly dir: string,
    private readonly manifest: ShardedManifest,
    private readonly onShard: OnShard,
    private readonly begin: () => Promise<void>,
  ) {
    this.shards = shardsOf(dir, manifest);
    this.size = manifest.shards.size;
    this.sha256 = new Map(Object.entries(manifest.shards.sha256));
  }

  get stored(): number {
    return this.shards.filter((shard) => this.isStored(shard)).reduce((sum, { count }) => sum + count, 0);
  }

  has(first: number, count: number): boolean {
    return this.touched(first, count).every((shard) => this.isStored(shard));
  }

  async add(first: number, rows: SampleRows): Promise<void> {
    const end = first + rows.labels.length;
    for (const shard of this.touched(first, rows.labels.length)) {
      if (this.isStored(shard)) continue;
      const pending = this.pendingOf(shard);
      const from = shard.first + pending.filled;
      if (from < first)
        throw new TensorARError(`samples ${from} … ${first - 1} of ${shard.path} were left out; add them in order`);
      const count = Math.min(end, shard.first + shard.count) - from;
      copyRows(this.manifest, rows, from - first, pending.rows, pending.filled, count);
      pending.filled += count;
      if (pending.filled < shard.count) continue;
      await this.store(shard, pending.rows);
      this.pending = undefined;
    }
  }

  private touched(first: number, count: number): readonly Shard[] {
    return this.shards.slice(Math.floor(first / this.size), Math.ceil((first + count) / this.size));
  }

  private nameOf({ first }: Shard): string {
    return shardName(first / this.size);
  }

  private isStored(shard: Shard): boolean {
    return this.sha256.has(this.nameOf(shard));
  }

  private pendingOf(shard: Shard): Pending {
    if (this.pending?.shard !== shard) this.pending = { shard, rows: emptyRows(this.manifest, shard.count), filled: 0 };
    return this.pending;
  }

  private async store(shard: Shard, rows: SampleRows): Promise<void> {
    if (!this.begun) {
      await this.begin();
      await this.saveManifest();
      this.begun = true;
    }
    const bytes = serializeSafetensors(rowTensors(this.manifest, rows, shard.count));
    await writeFileAtomic(shard.path, bytes);
    await this.onShard(shard.first, rows.images);
    this.sha256.set(this.nameOf(shard), sha256Of(bytes));
    await this.saveManifest();
  }

  private async saveManifest(): Promise<void> {
    const shards = { size: this.size, sha256: Object.fromEntries([...this.sha256].sort()) };
    await writeFileAtomic(manifestPath(this.dir), `${JSON.stringify({ ...this.manifest, shards }, null, 2)}\n`);
  }
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
