import { recognize, TensorARError } from "@tensorar/core";
import sharp, { type Metadata, type Sharp } from "sharp";
import type { ImageLimits } from "../limits";
import { bmpHeader, decodeBmp, isBmp } from "./bmp";
import { createGate } from "./gate";

/** A decoded image. */
export interface RgbImage {
  /** [height, width, 3] */
  readonly data: Uint8Array;
  readonly width: number;
  readonly height: number;
}

/** Limits of what is decoded. */
export interface DecodeImageOptions extends Pick<ImageLimits, "maxPixels"> {
  /** Cut out the centre square and scale it to so many pixels (Lanczos-3); the image as it is when left out. */
  readonly size?: number;
  /** The bytes are an SVG of ours, and not a file: those of others are refused, as they need not be images at all. */
  readonly drawn?: boolean;
}

const WHITE = "#ffffff";
/** Bytes of pixels that are decoded at the same time, whole and with a copy: small images in numbers, large ones one by one. */
const decoding = createGate(2 ** 30);

/**
 * An image file as 8-bit RGB, the same for every command: turned upright by its EXIF orientation, transparency white, grey
 * repeated, CMYK converted to sRGB, 16 bits reduced to 8, floating point numbers as {@link floatBytes} says; of an animation
 * the first frame.
 *
 * @param where what errors name
 * @param load gives the bytes of the file
 * @throws TensorARError when it can't be read, is no image, damaged, of a kind that has no such form, or has more pixels than the limit
 */
export async function decodeImage(...[where, load, options]: Parameters<typeof tryDecodeImage>): Promise<RgbImage> {
  const image = await tryDecodeImage(where, load, options);
  if ("data" in image) return image;
  const { reason, remedy, cause } = image;
  const code = cause instanceof TensorARError ? cause.code : "invalid";
  throw new TensorARError(`${where}: ${reason}; ${remedy}`, { cause, code });
}

/** Why an image can't be read. */
export interface BadImage {
  readonly reason: string;
  readonly remedy: string;
  readonly cause: Error;
}

/** {@link decodeImage} that returns why an image can't be read, where that is no error. */
export async function tryDecodeImage(
  where: string,
  load: () => Promise<Uint8Array>,
  options: DecodeImageOptions,
): Promise<RgbImage | BadImage> {
  let encoded: Uint8Array | undefined;
  try {
    encoded = await load();
    const source = await inspect(encoded, options);
    return await decoding.run(source.bytes, async () => rgbOf(await source.open(), options.size));
  } catch (cause) {
    return explained(where, encoded, cause as Error);
  }
}

function explained(where: string, encoded: Uint8Array | undefined, cause: Error): BadImage {
  const found = encoded && !(cause instanceof TensorARError) ? recognize(encoded) : undefined;
  if (found && found.kind !== "image")
    return { reason: `not a readable image: it is ${found.what}`, remedy: found.remedy, cause };
  // Libraries write a line for each oddity that they met; the last is why they gave up.
  const message = cause.message.trim().split("\n").at(-1)!.slice(0, LONGEST_REASON);
  const what = message.startsWith(`${where}: `) ? message.slice(where.length + 2) : message;
  const remedy = "repair or remove it, or leave such images out with --on-bad-image skip";
  return { reason: `not a readable image (${what})`, remedy, cause };
}

const LONGEST_REASON = 300;

interface Source {
  /** What its pixels take in memory, about. */
  readonly bytes: number;
  readonly open: () => Promise<Sharp>;
}

/** Looks at the header only. */
async function inspect(encoded: Uint8Array, { maxPixels, drawn = false }: DecodeImageOptions): Promise<Source> {
  if (isBmp(encoded)) {
    const { width, height } = bmpHeader(encoded);
    expectPixels(width, height, maxPixels);
    return { bytes: 2 * width * height * 4, open: async () => ofBmp(encoded) };
  }
  const metadata = await sharp(encoded, { limitInputPixels: false }).metadata(); // of the header; the limit is told below
  const { width, height, channels, depth, format } = metadata;
  if (format === "svg" && !drawn)
    throw new TensorARError("a drawing (SVG), which has no pixels", { code: "unsupported" });
  expectPixels(width, height, maxPixels);
  const image = sharp(encoded, { failOn: "error", limitInputPixels: maxPixels });
  if (depth === "float") return { bytes: 3 * width * height * channels * 4, open: () => ofFloats(image, metadata) };
  if (depth !== "uchar" && depth !== "ushort")
    throw new TensorARError(`pixels of type ${depth}; save it with 8 or 16 bits, unsigned`, { code: "unsupported" });
  return { bytes: 2 * width * height * channels * (depth === "uchar" ? 1 : 2), open: async () => image.autoOrient() };
}

/** The longest that JPEG has; libvips holds many rows at a time, so that longer ones take far more memory than their pixels. */
const LONGEST_SIDE = 65_535;

function expectPixels(width: number, height: number, maxPixels: number): void {
  if (width * height > maxPixels)
    throw new TensorARError(`${width} × ${height} pixels are more than --max-pixels ${maxPixels}`, { code: "limit" });
  if (Math.max(width, height) > LONGEST_SIDE)
    throw new TensorARError(`${width} × ${height} pixels; at most ${LONGEST_SIDE} a side are read`, { code: "limit" });
}

function ofBmp(encoded: Uint8Array): Sharp {
  const { data, width, height } = decodeBmp(encoded);
  return sharp(data, { raw: { width, height, channels: 4 } });
}

async function ofFloats(image: Sharp, { space, channels }: Metadata): Promise<Sharp> {
  // In its own colour space: libvips takes floats for linear light, and would apply a gamma to what was saved without one.
  const pixels = image.autoOrient().toColourspace(space).raw({ depth: "float" });
  const { data, info } = await pixels.toBuffer({ resolveWithObject: true });
  if (info.channels !== channels || channels === 2 || space === "cmyk")
    throw new TensorARError(`floating point numbers in ${channels} channels (${space}); save it as grey or RGB`, {
      code: "unsupported",
    });
  const { width, height } = info;
  const values = new Float32Array(data.buffer, data.byteOffset, data.length / Float32Array.BYTES_PER_ELEMENT);
  return sharp(floatBytes(values), { raw: { width, height, channels: info.channels } });
}

/** How far rounding in float32 may lead out of [0, 1]. */
const ROUNDING = 1e-5;

/**
 * Floating point pixels as bytes: 0 is black and 1 white, as NumPy, scikit-image and PyTorch save them, without a gamma.
 * @throws TensorARError for values that are not in [0, 1], NaN included: another range would be a guess
 */
export function floatBytes(values: Float32Array): Uint8Array {
  const bytes = new Uint8Array(values.length);
  for (let i = 0; i < values.length; i++) {
    const value = values[i]!;
    if (!(value >= -ROUNDING && value <= 1 + ROUNDING))
      throw new TensorARError(
        `floating point number ${value}, where 0 is black and 1 white; scale it to that, or save it with 8 or 16 bits`,
      );
    bytes[i] = Math.round(Math.min(1, Math.max(0, value)) * 255);
  }
  return bytes;
}

async function rgbOf(image: Sharp, size: number | undefined): Promise<RgbImage> {
  const shaped = size === undefined ? image : image.resize(size, size, { fit: "cover", kernel: "lanczos3" });
  const pixels = shaped.flatten({ background: WHITE }).toColourspace("srgb").removeAlpha().raw({ depth: "uchar" });
  const { data, info } = await pixels.toBuffer({ resolveWithObject: true });
  if (info.channels !== 3) throw new TensorARError(`${info.channels} channels after the conversion to sRGB`);
  return { data, width: info.width, height: info.height };
}
