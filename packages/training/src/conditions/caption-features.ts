import { createHash } from "node:crypto";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { quote, TensorARError } from "@tensorar/core";
import { expectUnchanged, fileError, inWorkFolder, removeLeftovers, type WorkSettings } from "@tensorar/core/node";
import type { Caption } from "@tensorar/sampler";
import {
  CAPTION_INDEX,
  CAPTION_SHARDS,
  type CaptionIndex,
  REMEDY,
  readCaptionIndex,
  readLayout,
  readSlots,
  type ShardLayout,
  shardNames,
  shardPath,
  writeCaptionIndex,
  writeShard,
} from "./caption-shards";
import { paddedCaption } from "./trimmed-captions";

/** Images of a shard: 40 MB of LlamaGen's features at a caption of 20 tokens each, in float16. */
const SHARD_SIZE = 512;

/** SHA-256 of the captions of all images, in order. */
export function hashTexts(texts: readonly (readonly string[])[]): string {
  const hash = createHash("sha256");
  for (const own of texts) hash.update(`${JSON.stringify(own)}\n`);
  return hash.digest("hex");
}

/** What features are made of, and how they are stored. */
export type CaptionSource = Omit<CaptionIndex, "images" | "texts" | "shardSize" | "shards"> & {
  /** The captions of every image, one at least. */
  readonly texts: readonly (readonly string[])[];
  /** Images of a shard; default 512. */
  readonly shardSize?: number;
};

/**
 * Writes features of the captions of a data set to a folder, shard by shard; what is in memory is one shard.
 *
 * @param encode trimmed features [n, D] of texts
 * @param onDone is told how many images are done
 * @throws TensorARError where work is in the way or can't be resumed, see `inWorkFolder`; what `encode` throws
 */
export function writeCaptionFeatures(
  settings: WorkSettings,
  { texts, shardSize = SHARD_SIZE, ...described }: CaptionSource,
  encode: (texts: readonly string[]) => Promise<readonly Float32Array[]>,
  onDone: (images: number) => void,
): Promise<void> {
  const { out, resume } = settings;
  const files = { what: "features of captions", mark: CAPTION_INDEX, own: [CAPTION_SHARDS], results: [] };
  return inWorkFolder(settings, files, async () => {
    let index: CaptionIndex = {
      images: texts.length,
      ...described,
      shardSize,
      texts: hashTexts(texts),
      shards: {},
    };
    if (resume) index = { ...index, shards: await wholeShards(out, index) };
    const folder = join(out, CAPTION_SHARDS);
    await mkdir(folder, { recursive: true }).catch((cause) => {
      throw fileError("create the folder", folder, cause);
    });
    await removeLeftovers(folder);
    await writeCaptionIndex(out, index);
    for (const [i, name] of shardNames(index).entries()) {
      const own = texts.slice(i * shardSize, (i + 1) * shardSize);
      if (index.shards[name] === undefined) {
        const distinct = [...new Set(own.flat())];
        const features = await encode(distinct);
        const byText = new Map(distinct.map((text, at) => [text, features[at]!]));
        const captions = own.map((each) => each.map((text) => byText.get(text)!));
        const sha256 = await writeShard(shardPath(out, name), index, captions);
        index = { ...index, shards: { ...index.shards, [name]: sha256 } };
        await writeCaptionIndex(out, index);
      }
      onDone(i * shardSize + own.length);
    }
  });
}

/** Checksums of the shards that need not be made again. @throws TensorARError where they are of other settings or captions */
async function wholeShards(out: string, wanted: CaptionIndex): Promise<Record<string, string>> {
  const { shards, ...begun } = await readCaptionIndex(out);
  const { shards: _, ...now } = wanted;
  for (const [key, value] of Object.entries(now)) {
    const before = begun[key as keyof typeof begun];
    if (before !== value)
      throw new TensorARError(
        `${out} was begun with ${key} ${quote(before)}, and it is ${quote(value)} now; use the same, or --overwrite`,
      );
  }
  const whole: Record<string, string> = {};
  for (const [name, sha256] of Object.entries(shards)) {
    const unchanged = await expectUnchanged(shardPath(out, name), sha256, REMEDY).then(
      () => true,
      (error) => {
        if (error instanceof TensorARError) return false; // made again
        throw error;
      },
    );
    if (unchanged) whole[name] = sha256;
  }
  return whole;
}

/** Features of the captions of a data set, read from disk as they are needed. */
export interface CaptionFeatures extends Readonly<CaptionIndex> {
  /**
   * A caption of an image, as a model takes it. The first read of a shard checks that it is as it was written.
   * @param draw in [0, 1): which of its several captions
   * @throws TensorARError where the shard is damaged
   */
  read(image: number, draw: number): Promise<Caption>;
}

/**
 * Opens a folder that {@link writeCaptionFeatures} wrote: what is in memory is where captions are, 8 bytes for each.
 * @throws TensorARError naming the file that is missing or not as it should be
 */
export async function openCaptionFeatures(dir: string): Promise<CaptionFeatures> {
  const index = await readCaptionIndex(dir);
  const { images, shardSize, padding } = index;
  const names = shardNames(index);
  const missing = names.filter((name) => index.shards[name] === undefined).length;
  if (missing > 0)
    throw new TensorARError(`${dir}: ${missing} of ${names.length} shards are missing; ${REMEDY}`, { code: "missing" });
  const layouts: ShardLayout[] = [];
  for (const [i, name] of names.entries()) {
    const own = Math.min(shardSize, images - i * shardSize);
    layouts.push(await readLayout(shardPath(dir, name), index, own));
  }
  const checked = new Map<string, Promise<void>>();
  return {
    ...index,
    async read(image, draw) {
      const shard = Math.floor(image / shardSize);
      const [name, { firsts, starts }] = [names[shard]!, layouts[shard]!];
      const path = shardPath(dir, name);
      let check = checked.get(name);
      if (check === undefined) {
        check = expectUnchanged(path, index.shards[name]!, REMEDY);
        checked.set(name, check);
      }
      await check;
      const [first, end] = [firsts[image % shardSize]!, firsts[(image % shardSize) + 1]!];
      const caption = first + Math.floor(draw * (end - first));
      return paddedCaption(index, padding, await readSlots(path, starts[caption]!, starts[caption + 1]!));
    },
  };
}
