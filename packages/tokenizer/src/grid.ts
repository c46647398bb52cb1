import { ShapeError } from "@tensorar/core";
import { isPositiveInteger } from "./config-rules";

/** Pixels: a side of a square image, or `[height, width]`. */
export type ImageSize = number | readonly [height: number, width: number];

/**
 * Rows and columns of codes of an image.
 * @param factor pixels along one side of a code
 * @throws ShapeError where a side is not a positive multiple of the factor
 */
export function dividedBy(factor: number, size: ImageSize): [h: number, w: number] {
  const [height, width] = typeof size === "number" ? [size, size] : size;
  for (const side of [height, width]) {
    if (!isPositiveInteger(side) || side % factor !== 0) {
      throw new ShapeError(
        `image of ${height} x ${width} pixels does not divide into codes of ${factor} x ${factor} pixels; ` +
          `resize it to multiples of ${factor}`,
      );
    }
  }
  return [height / factor, width / factor];
}

/**
 * Rows and columns of codes of a batch of images.
 * @throws ShapeError where they are not `[N, height, width, channels]`, or do not divide
 */
export function gridOfImages(
  where: string,
  { shape }: { readonly shape: readonly number[] },
  channels: number,
  factor: number,
): [h: number, w: number] {
  if (shape.length !== 4 || shape[3] !== channels) {
    throw new ShapeError(
      `${where}: images have shape [${shape}]; pass [N, height, width, ${channels}] (channels last)`,
    );
  }
  return dividedBy(factor, [shape[1]!, shape[2]!]);
}

/** @throws ShapeError where codes are not `[N, h·w]` */
export function checkCodes(
  where: string,
  { shape }: { readonly shape: readonly number[] },
  [h, w]: readonly [h: number, w: number],
): void {
  if (shape.length !== 2 || shape[1] !== h * w) {
    throw new ShapeError(`${where}: codes have shape [${shape}]; pass [N, ${h * w}] for a grid of ${h} x ${w}`);
  }
}
