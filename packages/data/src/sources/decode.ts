import { decodeImage, tryDecodeImage } from "../files/decode-image";
import { DEFAULT_IMAGE_OPTIONS, type ImageOptions } from "../limits";
import type { ImageSource, SourceEntry } from "./source";

/** A decoded image with its class and captions. */
export interface Sample extends Pick<SourceEntry, "name" | "label" | "caption" | "otherCaptions" | "split"> {
  /** [size, size, 3] */
  readonly pixels: Uint8Array;
}

/** An image that was left out, and why. */
export interface SkippedImage {
  readonly file: string;
  readonly reason: string;
}

/** How images of a source are decoded. */
export interface DecodeOptions extends Partial<Omit<ImageOptions, "maxFileBytes">> {
  /** Height and width in pixels. */
  readonly size: number;
  readonly onSkip?: (skipped: SkippedImage) => void;
  readonly signal?: AbortSignal;
}

const IN_FLIGHT = 8;

/**
 * The images of a source, decoded, cut and resized as {@link decodeImage} says, in the source's order; a few are decoded
 * at the same time.
 *
 * @throws TensorARError naming the file, when an image is missing or corrupt and `onBadImage` is "error"; the signal's reason
 */
export async function* decodeSource(source: ImageSource, options: DecodeOptions): AsyncGenerator<Sample> {
  const { size, onSkip, signal, onBadImage, maxPixels } = { ...DEFAULT_IMAGE_OPTIONS, ...options };
  const decode = async (entry: SourceEntry): Promise<Sample | SkippedImage> => {
    const { where, drawn, load, ...described } = entry;
    const settings = { size, maxPixels, ...(drawn && { drawn }) };
    const image =
      onBadImage === "skip" ? await tryDecodeImage(where, load, settings) : await decodeImage(where, load, settings);
    if ("reason" in image) return { file: where, reason: image.reason };
    return { ...described, pixels: image.data };
  };
  for await (const result of mapInOrder(source.entries(size), IN_FLIGHT, decode)) {
    signal?.throwIfAborted();
    if ("pixels" in result) yield result;
    else onSkip?.(result);
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
