/** What keeps one hostile or damaged file from filling the memory. */
export interface ImageLimits {
  /** Width times height of one image. */
  readonly maxPixels: number;
  /** Bytes of one image file, as it lies on the disk or in an archive. */
  readonly maxFileBytes: number;
}

/** Bytes of a MiB. */
export const MIB = 2 ** 20;

/** More than cameras make: 200 megapixels. */
export const MAX_PIXELS = 200_000_000;
/** The largest image file, in MiB, unless said otherwise. */
export const MAX_FILE_MIB = 128;

/** Limits of images unless said otherwise. */
export const DEFAULT_LIMITS: ImageLimits = { maxPixels: MAX_PIXELS, maxFileBytes: MAX_FILE_MIB * MIB };

/** What to do with an image that can't be read: stop, or leave it out and count it. */
export type OnBadImage = "error" | "skip";

/** How images are read, whichever command does. */
export interface ImageOptions extends ImageLimits {
  readonly onBadImage: OnBadImage;
}

/** How images are read unless said otherwise. */
export const DEFAULT_IMAGE_OPTIONS: ImageOptions = { ...DEFAULT_LIMITS, onBadImage: "error" };
