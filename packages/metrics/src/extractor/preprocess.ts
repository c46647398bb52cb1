import { TensorARError } from "@tensorar/core";
import { expectInteger } from "../checks";
import type { RgbImages } from "../images";
import { type ResizeFilter, resizeImage } from "./resize";

/** What a network wants images to be, as its authors' preprocessing says. All of it is given: no default fits two of them. */
export interface Preprocessing {
  /** Height and width of the network's input. */
  readonly size: readonly [height: number, width: number];
  /**
   * How images come to that size: stretched to it; with their shorter side brought to `shorterSide` and the middle cut out;
   * or whole with their sides in proportion, and zeros (after mean and std) at the `pad`ded end, or around the middle. "none"
   * takes only images of that size.
   */
  readonly resize:
    | "none"
    | { readonly filter: ResizeFilter; readonly shorterSide?: number; readonly pad?: never }
    | { readonly filter: ResizeFilter; readonly pad: "end" | "around"; readonly shorterSide?: never };
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
    if (resize.pad !== undefined && resize.pad !== "end" && resize.pad !== "around")
      throw new TensorARError(`${where}: pad "${resize.pad}" is unknown; use "end" or "around"`);
    if (resize.pad !== undefined && resize.shorterSide !== undefined)
      throw new TensorARError(`${where}: resize has both pad and shorterSide; use one of them`);
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

/** Where an image lies in the network's input. */
export interface Placement {
  /** Height and width that the image is resized to. */
  readonly scaled: readonly [number, number];
  /** Row of the input where its first row comes; negative where the image is cut. */
  readonly top: number;
  readonly left: number;
}

/** Where an image of a size comes. @throws TensorARError where "none" does not fit */
export function placementOf(
  where: string,
  [height, width]: readonly [number, number],
  { size, resize }: Preprocessing,
): Placement {
  const [toHeight, toWidth] = size;
  if (resize === "none") {
    if (height === toHeight && width === toWidth) return { scaled: size, top: 0, left: 0 };
    const remedy = `resize them, or set \`resize\``;
    throw new TensorARError(`${where}: images are ${height} × ${width}, not ${toHeight} × ${toWidth}; ${remedy}`);
  }
  const { shorterSide, pad } = resize;
  if (pad !== undefined) {
    const ratio = Math.min(toHeight / height, toWidth / width);
    const scaled = [height, width].map((side, i) => Math.min(size[i]!, Math.max(1, Math.round(side * ratio))));
    const [top, left] = scaled.map((side, i) => (pad === "end" ? 0 : Math.floor((size[i]! - side) / 2)));
    return { scaled: scaled as [number, number], top: top!, left: left! };
  }
  if (shorterSide === undefined) return { scaled: size, top: 0, left: 0 };
  // The longer side is cut down to a whole pixel, and the middle is rounded to even, as in torchvision's transforms.
  const long = Math.floor((shorterSide * Math.max(height, width)) / Math.min(height, width));
  const scaled = height <= width ? ([shorterSide, long] as const) : ([long, shorterSide] as const);
  const [top, left] = scaled.map((side, i) => -roundHalfToEven((side - size[i]!) / 2));
  return { scaled, top: top!, left: left! };
}

/** Images `[begin, end)` as the network takes them: float32 of `layout`. */
export function preprocess(
  where: string,
  images: RgbImages,
  [begin, end]: readonly [number, number],
  settings: Preprocessing,
): Float32Array {
  const { height, width } = images;
  const placement = placementOf(where, [height, width], settings);
  const values = settings.size[0] * settings.size[1] * 3;
  const out = new Float32Array((end - begin) * values);
  for (let i = begin; i < end; i++) {
    const image = images.data.subarray(i * height * width * 3, (i + 1) * height * width * 3);
    place(
      settings.resize === "none"
        ? image
        : resizeImage(image, [height, width], placement.scaled, settings.resize.filter),
      placement,
      settings,
      out.subarray((i - begin) * values, (i - begin + 1) * values),
    );
  }
  return out;
}

/** Writes a resized image into its place, normalized; the rest stays as it is. */
function place(image: Uint8Array, { scaled, top, left }: Placement, settings: Preprocessing, out: Float32Array): void {
  const { size, mean, std, layout } = settings;
  const [pixelStride, channelStride] = layout === "NCHW" ? [1, size[0] * size[1]] : [3, 1];
  const [endY, endX] = [Math.min(size[0], top + scaled[0]), Math.min(size[1], left + scaled[1])];
  for (let y = Math.max(0, top); y < endY; y++) {
    for (let x = Math.max(0, left); x < endX; x++) {
      const from = ((y - top) * scaled[1] + x - left) * 3;
      const at = (y * size[1] + x) * pixelStride;
      for (let channel = 0; channel < 3; channel++)
        out[at + channel * channelStride] = (image[from + channel]! / 255 - mean[channel]!) / std[channel]!;
    }
  }
}

/** As Python and NumPy round. */
export function roundHalfToEven(value: number): number {
  const down = Math.floor(value);
  return value - down === 0.5 ? down + (Math.abs(down) % 2) : Math.round(value);
}
