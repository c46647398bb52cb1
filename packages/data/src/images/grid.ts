import { TensorARError } from "@tensorar/core";
import { writeFileAtomic } from "@tensorar/core/node";
import sharp from "sharp";
import { expectImages, type ImageShape, toPixels } from "./pixels";

/** How images are laid out in a grid. */
export interface GridOptions extends ImageShape {
  /** Images in a row; by default as square as possible. */
  readonly columns?: number;
  /** Every pixel becomes a block of `scale` × `scale`; default 1. */
  readonly scale?: number;
  /** White pixels between images, not scaled; default 2. */
  readonly gap?: number;
}

const WHITE = 255;

/**
 * Images side by side, row by row, as a PNG. Enlarging repeats pixels, so what is seen is what the model made.
 *
 * @param images [count, height, width, 3], bytes or floats in [-1, 1]
 * @throws TensorARError when the values do not make `count` images, or an option is not a fitting integer
 */
export async function imageGrid(images: Uint8Array | Float32Array, options: GridOptions): Promise<Buffer> {
  const { count, height, width, scale = 1, gap = 2 } = options;
  expectImages("imageGrid", images.length, options);
  const columns = options.columns ?? Math.ceil(Math.sqrt(count));
  expectInteger("columns", columns, 1);
  expectInteger("scale", scale, 1);
  expectInteger("gap", gap, 0);
  const pixels = images instanceof Float32Array ? toPixels(images) : images;
  const rows = Math.ceil(count / columns);
  const cellHeight = height * scale + gap;
  const cellWidth = width * scale + gap;
  const canvas = { width: columns * cellWidth - gap, height: rows * cellHeight - gap };
  const out = new Uint8Array(canvas.height * canvas.width * 3).fill(WHITE); // [H, W, 3]
  const line = new Uint8Array(width * scale * 3);
  for (let row = 0; row < count * height; row++) {
    const [image, y] = [Math.floor(row / height), row % height];
    const source = pixels.subarray(row * width * 3, (row + 1) * width * 3);
    if (scale === 1) line.set(source);
    else for (let at = 0; at < line.length; at++) line[at] = source[Math.floor(at / (3 * scale)) * 3 + (at % 3)]!;
    const top = Math.floor(image / columns) * cellHeight + y * scale;
    const left = (image % columns) * cellWidth;
    for (let copy = 0; copy < scale; copy++) out.set(line, ((top + copy) * canvas.width + left) * 3);
  }
  return sharp(out, { raw: { ...canvas, channels: 3 } })
    .png()
    .toBuffer();
}

/** Writes a picture so that a crash leaves the old file or the new one, never a part. */
export const savePng = (path: string, png: Uint8Array): Promise<void> => writeFileAtomic(path, png);

/** A picture as a URL that holds it, for pages that must be one file. */
export const toDataUri = (png: Uint8Array): string =>
  `data:image/png;base64,${Buffer.from(png.buffer, png.byteOffset, png.byteLength).toString("base64")}`;

function expectInteger(name: string, value: number, least: number): void {
  if (!Number.isInteger(value) || value < least) {
    throw new TensorARError(`imageGrid: ${name} = ${value}; it must be an integer of at least ${least}`);
  }
}
