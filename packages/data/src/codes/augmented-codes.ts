import { join } from "node:path";
import { openSafetensors } from "@tensorar/checkpoint/node";
import { TensorARError } from "@tensorar/core";
import { expectUnchanged, isAbsent, readChecked } from "@tensorar/core/node";
import { z } from "zod";
import { AUGMENTATIONS, variantCount } from "../images/variants";

// N images that are trained on · M variants of an image · T tokens · n images of a shard

const schema = z.strictObject({
  augment: z.array(z.enum(AUGMENTATIONS)).min(1).readonly(),
  /** Pixels by which `shift` moves. */
  shift: z.int().nonnegative(),
  /** Factor by which `crop` enlarges. */
  cropRange: z.number(),
  /** N */
  images: z.int().positive(),
  /** T */
  tokens: z.int().positive(),
  /** Images of a shard; the last one may hold fewer. */
  shardSize: z.int().positive(),
  /** What data set and tokenizer are known by. */
  source: z.string(),
  /** SHA-256 of the shards that are there, by name. */
  shards: z.record(z.string(), z.string()),
});

/** What `augmented.json` in a folder of codes says of the variants of its images. */
export type AugmentationIndex = Readonly<z.infer<typeof schema>>;

/** What variants are made of: the index without what is made. */
export type AugmentationSource = Omit<AugmentationIndex, "shards">;

/** Where variants of images are within a folder of codes. */
export const AUGMENTED = "augmented";
/** The file that says what is there. */
export const AUGMENTATION_INDEX = "augmented.json";
/** The folder of shards within {@link AUGMENTED}. */
export const SHARDS = "shards";
const AGAIN = "continue with `tensorar codes --resume`, which makes again what is missing or damaged";

/** Codes of variants of the images that are trained on, read from disk as they are needed. */
export interface AugmentedCodes {
  /** M */
  readonly variants: number;
  /**
   * Codes of one variant of each of some images. The first read of a shard checks that it is as it was written.
   * @param images places among the images that are trained on, in [0, N)
   * @param variants one for each, in [0, M)
   * @returns [images, T]
   * @throws TensorARError where a shard is damaged
   */
  read(images: ArrayLike<number>, variants: ArrayLike<number>): Promise<Int32Array>;
}

export const indexPath = (dir: string) => join(dir, AUGMENTED, AUGMENTATION_INDEX);
export const shardPath = (dir: string, name: string) => join(dir, AUGMENTED, SHARDS, name);
export const nameOf = (shard: number) => `${String(shard).padStart(5, "0")}.safetensors`;
export const shardCount = ({ images, shardSize }: AugmentationSource) => Math.ceil(images / shardSize);

export const readIndex = (dir: string): Promise<AugmentationIndex> =>
  readChecked(indexPath(dir), schema, "codes of variants of images (written by `tensorar codes --augment`)");

/**
 * Opens the variants in a folder of codes; undefined where it has none.
 * @param expected of the codes beside them
 * @throws TensorARError where some are missing (code `missing`), or they are not of these codes
 */
export async function openAugmentedCodes(
  dir: string,
  expected: Readonly<Record<"images" | "tokens" | "vocabSize", number>>,
): Promise<AugmentedCodes | undefined> {
  if (await isAbsent(join(dir, AUGMENTED))) return undefined;
  const index = await readIndex(dir);
  for (const name of ["images", "tokens"] as const)
    if (index[name] !== expected[name])
      throw new TensorARError(
        `${indexPath(dir)}: ${name} is ${index[name]}, and ${expected[name]} in the codes beside it; write them again with --overwrite`,
      );
  const missing = Array.from({ length: shardCount(index) }, (_, i) => nameOf(i)).filter((name) => !index.shards[name]);
  if (missing.length > 0)
    throw new TensorARError(
      `${dir}: ${missing.length} of ${shardCount(index)} shards of variants are missing; ${AGAIN}`,
      {
        code: "missing",
      },
    );
  return reader(dir, index, expected.vocabSize);
}

function reader(dir: string, index: AugmentationIndex, vocabSize: number): AugmentedCodes {
  const { shardSize, tokens: T, augment } = index;
  const M = variantCount(augment);
  const checked = new Map<string, Promise<void>>();
  const check = (name: string): Promise<void> => {
    const known = checked.get(name) ?? expectUnchanged(shardPath(dir, name), index.shards[name]!, AGAIN);
    checked.set(name, known);
    return known;
  };
  return {
    variants: M,
    async read(images, variants) {
      const out = new Int32Array(images.length * T);
      for (const [name, places] of byShard(images, shardSize)) {
        await check(name);
        const file = await openSafetensors(shardPath(dir, name));
        try {
          for (const at of places) {
            const row = (images[at]! % shardSize) * M + variants[at]!;
            const { data } = await file.readRows("codes", row, row + 1);
            out.set(data as Int32Array, at * T);
          }
        } finally {
          await file.close();
        }
      }
      const bad = out.find((code) => code < 0 || code >= vocabSize);
      if (bad !== undefined)
        throw new TensorARError(`${join(dir, AUGMENTED)}: code ${bad} is outside [0, ${vocabSize}); ${AGAIN}`);
      return out;
    },
  };
}

/** Places in `images` by the shards that they are in. */
function byShard(images: ArrayLike<number>, shardSize: number): Map<string, number[]> {
  const places = new Map<string, number[]>();
  for (let at = 0; at < images.length; at++) {
    const name = nameOf(Math.floor(images[at]! / shardSize));
    const own = places.get(name) ?? [];
    own.push(at);
    places.set(name, own);
  }
  return places;
}
