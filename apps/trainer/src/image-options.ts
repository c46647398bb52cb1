import type { ImageOptions } from "@tensorar/data";
import { MIB, type OnBadImage } from "@tensorar/data/limits";

/** How images are read, of the settings that commands share. */
export const imageOptions = (settings: {
  readonly onBadImage: OnBadImage;
  readonly maxPixels: number;
  readonly maxFileMib: number;
}): ImageOptions => ({
  onBadImage: settings.onBadImage,
  maxPixels: settings.maxPixels,
  maxFileBytes: settings.maxFileMib * MIB,
});
