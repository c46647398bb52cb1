import { type ExportManifest, GENERATION } from "@tensorar/manifest";

/** Memory that a page can have for WebAssembly: 32-bit addresses. */
const MOST_BYTES = 2 ** 32;
/** The share of a device's memory that a page can count on. */
const SHARE = 0.75;
/** What decoding takes for each pixel of an image: 0.7 GB for four images of 256 × 256 in LlamaGen's decoder. */
const BYTES_PER_PIXEL = 2700;

/** What memory depends on. */
export type Measured = Pick<ExportManifest, "cache" | "tokens" | "conditionPositions" | "imageSize">;

/** Files of a folder, in bytes. */
export type Sizes = ReadonlyMap<string, number>;

/**
 * Memory for an export and one image with guidance, in bytes: graphs and weights as read and as opened, the KV cache here and in the
 * runtime, and one picture.
 */
export function memoryFor(manifest: Measured, sizes: Sizes): number {
  const { cache, tokens, conditionPositions, imageSize } = manifest;
  const weights = [...sizes].filter(([name]) => name !== GENERATION).reduce((sum, [, size]) => sum + size, 0);
  const positions = tokens + (conditionPositions ?? 0);
  const keysAndValues = 2 * 2 * 4 * cache.layers * cache.heads * cache.headDim * positions; // 2 rows of both, in float32
  return 2 * weights + 2 * keysAndValues + imageSize ** 2 * BYTES_PER_PIXEL;
}

/** Memory that there is, in bytes. @param deviceMemory in GiB, where the browser says it */
export const memoryHere = (deviceMemory: number | undefined): number =>
  Math.min(MOST_BYTES, deviceMemory === undefined ? MOST_BYTES : deviceMemory * 2 ** 30 * SHARE);

/** Why an export is too large for this device; undefined where it fits. */
export function tooLarge(needed: number, here: number): string | undefined {
  const inGB = (bytes: number): string => (bytes / 1e9).toFixed(1);
  if (needed <= here) return undefined;
  return `This model needs about ${inGB(needed)} GB of memory, and a page has at most ${inGB(here)} GB on this device.`;
}
