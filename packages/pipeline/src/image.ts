import { TensorARError } from "@tensorar/core";
import { encode } from "fast-png";

/** A picture as canvases take it: `new ImageData(data, width, height)`. */
export class RgbaImage {
  constructor(
    readonly width: number,
    readonly height: number,
    /** [height, width, 4], row by row: red, green, blue, and alpha, which is 255. */
    readonly data: Uint8ClampedArray<ArrayBuffer>,
  ) {}

  /** The bytes of a PNG file, without alpha. */
  toPNG(): Uint8Array {
    const { width, height } = this;
    const data = new Uint8Array(width * height * 3);
    for (let pixel = 0; pixel < width * height; pixel++)
      for (let channel = 0; channel < 3; channel++) data[3 * pixel + channel] = this.data[4 * pixel + channel]!;
    return encode({ width, height, data, channels: 3, depth: 8 });
  }
}

/**
 * Pictures of pixels in [-1, 1]: the nearest bytes, values outside clamped.
 * @param pixels [N, size, size, 3]
 * @throws TensorARError for NaN, which has no nearest byte
 */
export function toImages(pixels: Float32Array, size: number): RgbaImage[] {
  const area = size * size;
  return Array.from({ length: pixels.length / (3 * area) }, (_, image) => {
    const data = new Uint8ClampedArray(4 * area).fill(255);
    for (let pixel = 0; pixel < area; pixel++) {
      for (let channel = 0; channel < 3; channel++) {
        const value = pixels[3 * (image * area + pixel) + channel]!;
        if (Number.isNaN(value))
          throw new TensorARError(`image ${image}: pixel ${pixel} is NaN; check the weights of the image decoder`);
        data[4 * pixel + channel] = Math.round((Math.min(1, Math.max(-1, value)) + 1) * 127.5);
      }
    }
    return new RgbaImage(size, size, data);
  });
}
