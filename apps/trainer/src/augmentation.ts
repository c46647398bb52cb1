import { join } from "node:path";
import { TensorARError } from "@tensorar/core";
import { hashFile } from "@tensorar/core/node";
import {
  type AugmentationSource,
  type AugmentedCodesOptions,
  type Dataset,
  enlargedSize,
  imageVariants,
  type VariantOptions,
} from "@tensorar/data";
import type { Settings } from "./declarations/codes";
import { hashFolder } from "./fingerprints";
import type { TokenizerRunner } from "./tokenizer-runner";

/** Images of a shard of variants. */
const SHARD_SIZE = 512;

/**
 * The variants that settings ask for; undefined where they ask for none.
 * @throws TensorARError naming a flag that belongs to another, and for crops that enlarge nothing
 */
export function variantOptions(
  { augment, cropRange, resume }: Settings,
  { info }: Dataset,
  { grid }: Pick<TokenizerRunner, "grid">,
): VariantOptions | undefined {
  if (cropRange !== undefined && !augment?.includes("crop"))
    throw new TensorARError(`--crop-range ${cropRange} belongs to --augment crop; leave it out, or give both`);
  if (resume && augment === undefined)
    throw new TensorARError("--resume goes on with variants of images; give --augment as before");
  if (augment === undefined) return undefined;
  const variants = { augment, shift: Math.ceil(info.size / grid[0] / 2), cropRange: cropRange ?? 1.1 };
  if (augment.includes("crop")) enlargedSize(info.size, variants.cropRange); // refuses what enlarges nothing
  return variants;
}

/** What variants are made of: these of the images to train on of a data set, by a tokenizer. */
export async function augmentationSource(
  { data, tokenizer }: Settings,
  { train }: Dataset,
  { grid }: Pick<TokenizerRunner, "grid">,
  variants: VariantOptions,
): Promise<AugmentationSource> {
  return {
    ...variants,
    images: train.length,
    tokens: grid[0] * grid[1],
    shardSize: SHARD_SIZE,
    // Each line of samples.jsonl has the checksum of an image.
    source: `${await hashFile(join(data, "samples.jsonl"))} ${await hashFolder(tokenizer)}`,
  };
}

/** Codes of variants of images, by their places among those to train on. */
export const variantEncoder =
  (
    { train, info, readImages }: Dataset,
    tokenizer: Pick<TokenizerRunner, "encode">,
    variants: VariantOptions,
    signal: AbortSignal,
  ): AugmentedCodesOptions["encode"] =>
  async (images) => {
    signal.throwIfAborted();
    const pixels = await readImages(images.map((image) => train[image]!));
    const bytes = info.size * info.size * 3;
    const all = images.flatMap((_, i) =>
      imageVariants(pixels.subarray(i * bytes, (i + 1) * bytes), info.size, variants),
    );
    const joined = new Uint8Array(all.length * bytes);
    for (const [i, each] of all.entries()) joined.set(each, i * bytes);
    return tokenizer.encode(joined);
  };
