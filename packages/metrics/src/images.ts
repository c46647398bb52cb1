import { requireOptions, TensorARError } from "@tensorar/core";
import { expectInteger, expectLength } from "./checks";

/** 8-bit RGB images, what every feature network of this package takes. */
export interface RgbImages {
  /** [count, height, width, 3] */
  readonly data: Uint8Array;
  readonly count: number;
  readonly height: number;
  readonly width: number;
}

/** Decoded images as files hold them. */
export interface RawImages {
  /** [count, height, width, channels]; 8-bit values, or 16-bit ones in a Uint16Array */
  readonly data: Uint8Array | Uint8ClampedArray | Uint16Array;
  /** Default: 1. */
  readonly count?: number;
  readonly height: number;
  readonly width: number;
  /** 1: gray; 2: gray and alpha; 3: RGB; 4: RGB and alpha, which is not premultiplied */
  readonly channels: 1 | 2 | 3 | 4;
}

/** How pixels lie in memory, and their range. */
export interface RgbOptions {
  /**
   * What alpha does. By default it is dropped, as by Pillow's `convert("RGB")`, which pytorch-fid and others use: the color
   * of invisible pixels counts. A background `[r, g, b]` of 0 … 255 is put behind the image instead.
   */
  readonly background?: readonly [number, number, number];
}

/**
 * Images as 8-bit RGB. Gray becomes three equal channels; 16 bits become 8 by rounding `v / 257`, the inverse of `v · 257`
 * (Pillow cuts such values off at 255 instead); colors are taken as they are, without color profiles.
 *
 * @throws TensorARError where lengths do not fit
 */
export function toRgbImages(images: RawImages, options: RgbOptions = {}): RgbImages {
  requireOptions("toRgbImages", images, ["data", "height", "width", "channels"]);
  requireOptions("toRgbImages", options, []);
  const { background } = options;
  const { data, count = 1, height, width, channels } = images;
  for (const [name, value] of Object.entries({ count, height, width }))
    expectInteger("toRgbImages", name, value, 1, 2 ** 31);
  expectInteger("toRgbImages", "channels", channels, 1, 4);
  expectLength("toRgbImages", "data", data.length, { count, height, width, channels });
  for (const value of background ?? []) expectInteger("toRgbImages", "background", value, 0, 255);
  const most = data instanceof Uint16Array ? 65535 : 255;
  const hasAlpha = channels % 2 === 0;
  const gray = channels <= 2;
  const pixels = count * height * width;
  const rgb = new Uint8Array(pixels * 3);
  for (let pixel = 0; pixel < pixels; pixel++) {
    const from = pixel * channels;
    const alpha = hasAlpha && background ? data[from + channels - 1]! / most : 1;
    for (let channel = 0; channel < 3; channel++) {
      const value = (data[from + (gray ? 0 : channel)]! * 255) / most;
      rgb[pixel * 3 + channel] = Math.round(alpha === 1 ? value : alpha * value + (1 - alpha) * background![channel]!);
    }
  }
  return { data: rgb, count, height, width };
}

/** Throws unless `data` holds what the sizes say. */
export function expectRgb(where: string, { data, count, height, width }: RgbImages): void {
  if (!(data instanceof Uint8Array)) {
    const remedy = "pass a Uint8Array; toRgbImages converts others";
    throw new TensorARError(`${where}: images are ${(data as object)?.constructor?.name ?? typeof data}; ${remedy}`);
  }
  for (const [name, value] of Object.entries({ count, height, width })) expectInteger(where, name, value, 1, 2 ** 31);
  expectLength(where, "images", data.length, { count, height, width, channels: 3 });
}
