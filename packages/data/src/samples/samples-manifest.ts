import { existsSync } from "node:fs";
import { join } from "node:path";
import { TensorARError, underTodaysNames } from "@tensorar/core";
import { readChecked } from "@tensorar/core/node";
import { z } from "zod";

// n images · S pixels a side · T tokens · k window · V codes

/** Names of settings in folders of earlier versions. */
const EARLIER = { count: "numImages", scale: "cfgScale" };

const schema = z.strictObject({
  count: z.int().positive(),
  /** S */
  imageSize: z.int().positive(),
  /** k */
  windowSize: z.int().positive(),
  /** Rows and columns of codes. */
  grid: z.tuple([z.int().positive(), z.int().positive()]),
  /** V; folders of one file do not say. */
  vocabSize: z.int().positive().optional(),
  /** What labels are indices into: classes, prompts or captions. */
  classes: z.array(z.string()),
  /** Every setting that decides what these samples are. */
  settings: z.preprocess(underTodaysNames(EARLIER), z.record(z.string(), z.unknown())),
  /** SHA-256 of what the settings name: weights, features of captions. */
  inputs: z.record(z.string(), z.string()).optional(),
  /** Absent where all samples are in one file, `samples.safetensors`. */
  shards: z
    .strictObject({
      /** Images of a shard; the last one may hold fewer. */
      size: z.int().positive(),
      /** Of the files that are there, by name. */
      sha256: z.record(z.string(), z.string()),
    })
    .optional(),
});

export type SamplesManifest = z.infer<typeof schema>;

/** What samples are, without where they are stored. */
export type SamplesDescription = Omit<SamplesManifest, "shards">;

/** The manifest of a folder of shards. */
export type ShardedManifest = SamplesManifest & { readonly shards: NonNullable<SamplesManifest["shards"]> };

/** Images of a shard: what a killed run loses at most beside its batch. 13 MB at 256 pixels. */
export const SHARD_SIZE = 64;

const REFINEMENT = "refinement.png";
const ONE_FILE = "samples.safetensors";

/** All that a folder of samples may hold. The manifest comes first: without it there are no samples. */
export const SAMPLES_ENTRIES = [
  "manifest.json",
  "shards",
  "images",
  "grid.png",
  REFINEMENT,
  "samples.npz",
  ONE_FILE,
] as const;

export const manifestPath = (dir: string): string => join(dir, "manifest.json");
export const imagesPath = (dir: string): string => join(dir, "images");
/** Where the picture of all samples lies in their folder. */
export const gridPath = (dir: string): string => join(dir, "grid.png");
/** Where the picture of drafts and what became of them lies in their folder. */
export const refinementPath = (dir: string): string => join(dir, REFINEMENT);
export const npzPath = (dir: string): string => join(dir, "samples.npz");

/** Whether a folder is one of samples, complete or not. */
export const holdsSamples = (dir: string): boolean =>
  existsSync(join(dir, ONE_FILE)) || (existsSync(join(dir, "shards")) && existsSync(manifestPath(dir)));

/** Where some of the samples are: those from `first` on. */
export interface Shard {
  readonly path: string;
  readonly first: number;
  readonly count: number;
  /** Undefined where it is not stored yet, or was written before there were checksums. */
  readonly sha256: string | undefined;
}

/** Name of a shard in the manifest and, below `shards`, of its file. */
export const shardName = (index: number): string => `${String(index).padStart(5, "0")}.safetensors`;

const shardCount = ({ count, shards }: Pick<SamplesManifest, "count" | "shards">): number =>
  shards === undefined ? 1 : Math.ceil(count / shards.size);

/** @throws TensorARError saying how many samples are there, where some are missing */
export function expectComplete(dir: string, { count, shards }: SamplesManifest): void {
  const indices = Object.keys(shards?.sha256 ?? {}).map((name) => Number.parseInt(name, 10));
  if (shards === undefined || indices.length === shardCount({ count, shards })) return;
  const there = indices.reduce((sum, index) => sum + Math.min(shards.size, count - index * shards.size), 0);
  throw new TensorARError(
    `${dir}: only ${there} of ${count} samples are there; continue with \`tensorar sample --resume\``,
    { code: "missing" },
  );
}

/** All shards of a folder in order, stored or not. */
export function shardsOf(dir: string, { count, shards }: SamplesManifest): Shard[] {
  if (shards === undefined) return [{ path: join(dir, ONE_FILE), first: 0, count, sha256: undefined }];
  return Array.from({ length: shardCount({ count, shards }) }, (_, index) => {
    const [name, first] = [shardName(index), index * shards.size];
    const path = join(dir, "shards", name);
    return { path, first, count: Math.min(shards.size, count - first), sha256: shards.sha256[name] };
  });
}

/** @throws TensorARError naming file and key where it is missing or no manifest of samples */
export async function readManifest(dir: string): Promise<SamplesManifest> {
  const path = manifestPath(dir);
  const manifest = await readChecked(path, schema, "a folder of samples (written by `tensorar sample`)");
  const { count, shards, grid, windowSize } = manifest;
  const wrong = (what: string) =>
    new TensorARError(`${path}: ${what}; write the samples again with \`tensorar sample\``);
  if (windowSize > grid[0] * grid[1])
    throw wrong(`a window of ${windowSize} does not fit a grid of ${grid.join(" × ")}`);
  const most = shardCount(manifest);
  const isShard = (name: string) => name === shardName(Number.parseInt(name, 10)) && Number.parseInt(name, 10) < most;
  const foreign = Object.keys(shards?.sha256 ?? {}).find((name) => !isShard(name));
  if (foreign !== undefined) throw wrong(`"${foreign}" is no shard of ${count} images, ${shards!.size} a shard`);
  return manifest;
}
