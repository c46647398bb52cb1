import { TensorARError } from "@tensorar/core";
import sharp from "sharp";
import type { ImageSource, SourceEntry } from "./source";

/** A decoded image with its class and caption. */
export interface Sample {
  readonly name: string;
  readonly label: number;
  readonly caption?: string;
  /** [size, size, 3] */
  readonly pixels: Uint8Array;
}

export interface SkippedImage {
  readonly file: string;
  readonly reason: string;
}

export interface DecodeOptions {
  /** Height and width in pixels. */
  readonly size: number;
  /** What to do with a missing or unreadable image: stop (the default), or leave it out and report it. */
  readonly onBadImage?: "error" | "skip";
  readonly onSkip?: (skipped: SkippedImage) => void;
  readonly signal?: AbortSignal;
}

const BACKGROUND = "#ffffff";
const IN_FLIGHT = 8;

/**
 * An encoded image as `size` × `size` RGB bytes: turned upright by its EXIF orientation, the centre square cut out,
 * scaled by Lanczos-3, transparency flattened onto white, grey and CMYK converted to sRGB, 16 bits reduced to 8.
 * Of an animation it takes the first frame.
 */
async function decodeImage(encoded: Uint8Array, size: number): Promise<Uint8Array> {
  const { data, info } = await sharp(encoded, { failOn: "error" })
    .autoOrient()
    .resize(size, size, { fit: "cover", kernel: "lanczos3" })
    .flatten({ background: BACKGROUND })
    .toColourspace("srgb")
    .raw()
    .toBuffer({ resolveWithObject: true });
  if (info.channels !== 3) throw new Error(`${info.channels} channels after the conversion to sRGB`);
  return data;
}

/**
 * The images of a source, decoded and resized as {@link decodeImage} says, in the source's order; a few are decoded
 * at the same time.
 *
 * @throws TensorARError naming the file, when an image is missing or corrupt and `onBadImage` is "error"
 */
export async function* decodeSource(source: ImageSource, options: DecodeOptions): AsyncGenerator<Sample> {
  const decode = async (entry: SourceEntry): Promise<Sample | SkippedImage> => {
    const { name, label, caption } = entry;
    try {
      const pixels = await decodeImage(await entry.load(), options.size);
      return { name, label, ...(caption !== undefined && { caption }), pixels };
    } catch (error) {
      const reason = (error as Error).message.trim().replaceAll("\n", "; ");
      if (options.onBadImage === "skip") return { file: entry.where, reason };
      throw new TensorARError(
        `${entry.where}: not a readable image (${reason}); repair or remove it, or leave such images out with onBadImage "skip"`,
      );
    }
  };
  for await (const result of mapInOrder(source.entries(options.size), IN_FLIGHT, decode)) {
    if (options.signal?.aborted) throw new TensorARError("stopped while preparing the data set; nothing was written");
    if ("pixels" in result) yield result;
    else options.onSkip?.(result);
  }
}

/** Results of `work` in the order of `items`, with at most `limit` of them under way. */
async function* mapInOrder<T, R>(
  items: AsyncIterable<T> | Iterable<T>,
  limit: number,
  work: (item: T) => Promise<R>,
): AsyncGenerator<R> {
  const running: Promise<R>[] = [];
  for await (const item of items) {
    const result = work(item);
    result.catch(() => undefined); // thrown below, when its turn comes
    running.push(result);
    if (running.length >= limit) yield await running.shift()!;
  }
  for (const result of running) yield await result;
}
