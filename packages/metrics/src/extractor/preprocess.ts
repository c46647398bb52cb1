import { expectInteger } from "../checks";
import { TensorARError } from "../errors";
import type { RgbImages } from "../images";
import { type ResizeFilter, resizeImage } from "./resize";

/** What a network wants images to be, as its authors' preprocessing says. All of it is given: no default fits two of them. */
export interface Preprocessing {
  /** Height and width of the network's input. */
  readonly size: readonly [height: number, width: number];
  /**
   * How images come to that size: stretched to it, or with their shorter side brought to `shorterSide` and the middle cut
   * out. "none" takes only images of that size.
   */
  readonly resize: "none" | { readonly filter: ResizeFilter; readonly shorterSide?: number };
  /** By channel, subtracted from values in [0, 1]. */
  readonly mean: readonly [number, number, number];
  /** By channel, what the rest is divided by. */
  readonly std: readonly [number, number, number];
  /** Order of the input's axes. */
  readonly layout: "NCHW" | "NHWC";
}

/** Throws where settings can't be meant. */
export function checkPreprocessing(where: string, { size, resize, mean, std, layout }: Preprocessing): void {
  for (const side of size) expectInteger(where, "size", side, 1, 2 ** 16);
  if (resize !== "none") {
    if (resize.filter !== "bilinear" && resize.filter !== "bicubic")
      throw new TensorARError(`${where}: filter "${resize.filter}" is unknown; use "bilinear" or "bicubic"`);
    if (resize.shorterSide !== undefined)
      expectInteger(where, "shorterSide", resize.shorterSide, Math.max(...size), 2 ** 16);
  }
  if (layout !== "NCHW" && layout !== "NHWC")
    throw new TensorARError(`${where}: layout "${layout}" is unknown; use "NCHW" or "NHWC"`);
  for (const [name, values] of Object.entries({ mean, std })) {
    const fits =
      values.length === 3 && values.every((value) => Number.isFinite(value) && (name === "mean" || value > 0));
    if (fits) continue;
    const remedy = `pass three ${name === "mean" ? "numbers" : "positive numbers"}, for values in [0, 1]`;
    throw new TensorARError(`${where}: ${name} is [${values.join(", ")}]; ${remedy}`);
  }
}

/** Images `[begin, end)` as the network takes them: float32 of `layout`. */
export function preprocess(
  where: string,
  images: RgbImages,
  [begin, end]: readonly [number, number],
  settings: Preprocessing,
): Float32Array {
  const { size, mean, std, layout } = settings;
  const pixels = size[0] * size[1];
  const [pixelStride, channelStride] = layout === "NCHW" ? [1, pixels] : [3, 1];
  const out = new Float32Array((end - begin) * pixels * 3);
  for (let i = begin; i < end; i++) {
    const image = fitted(where, images, i, settings);
    for (let channel = 0; channel < 3; channel++) {
      const at = (i - begin) * pixels * 3 + channel * channelStride;
      for (let pixel = 0; pixel < pixels; pixel++) {
        out[at + pixel * pixelStride] = (image[pixel * 3 + channel]! / 255 - mean[channel]!) / std[channel]!;
      }
    }
  }
  return out;
}

/** One image at the network's size, [height, width, 3]. */
function fitted(where: string, images: RgbImages, index: number, { size, resize }: Preprocessing): Uint8Array {
  const { height, width } = images;
  const [toHeight, toWidth] = size;
  const image = images.data.subarray(index * height * width * 3, (index + 1) * height * width * 3);
  if (resize === "none") {
    if (height === toHeight && width === toWidth) return image;
    const remedy = `resize them, or set \`resize\``;
    throw new TensorARError(`${where}: images are ${height} × ${width}, not ${toHeight} × ${toWidth}; ${remedy}`);
  }
  const { filter, shorterSide } = resize;
  if (shorterSide === undefined) return resizeImage(image, [height, width], size, filter);
  // The longer side is cut down to a whole pixel, and the middle is rounded to even, as in torchvision's transforms.
  const long = Math.floor((shorterSide * Math.max(height, width)) / Math.min(height, width));
  const scaled = height <= width ? ([shorterSide, long] as const) : ([long, shorterSide] as const);
  return cutMiddle(resizeImage(image, [height, width], scaled, filter), scaled, size);
}

function cutMiddle(
  image: Uint8Array,
  [height, width]: readonly [number, number],
  [toHeight, toWidth]: readonly [number, number],
): Uint8Array {
  const top = roundHalfToEven((height - toHeight) / 2);
  const left = roundHalfToEven((width - toWidth) / 2);
  const out = new Uint8Array(toHeight * toWidth * 3);
  for (let y = 0; y < toHeight; y++) {
    const from = ((top + y) * width + left) * 3;
    out.set(image.subarray(from, from + toWidth * 3), y * toWidth * 3);
  }
  return out;
}

function roundHalfToEven(value: number): number {
  const down = Math.floor(value);
  return value - down === 0.5 ? down + (down % 2) : Math.round(value);
}
