import { TensorARError } from "@tensorar/core";
import { writeFileAtomic } from "@tensorar/core/node";
import sharp from "sharp";
import { expectImages, type ImageShape, toPixels } from "./pixels";
import { drawText, type TextPicture } from "./text-picture";

/** How images are laid out in a grid. */
export interface GridOptions extends ImageShape {
  /** Images in a row; by default as square as possible. */
  readonly columns?: number;
  /** Every pixel becomes a block of `scale` × `scale`; default 1. */
  readonly scale?: number;
  /** White pixels between images, not scaled; default 2. */
  readonly gap?: number;
  /** Texts below the images, one for each, or one for each row of images. */
  readonly captions?: readonly string[];
}

const WHITE = 255;
/** Pixels above and below a caption. */
const MARGIN = 3;

/** Where things are on the canvas, in pixels. */
interface Layout {
  readonly width: number;
  readonly height: number;
  readonly columns: number;
  /** From one image to the next. */
  readonly cellWidth: number;
  readonly cellHeight: number;
  /** Height of an image, below which its caption stands. */
  readonly imageHeight: number;
}

/**
 * Images side by side, row by row, as a PNG. Enlarging repeats pixels, so what is seen is what the model made. Captions are
 * wrapped to the width of what they belong to, and cut where they are longer than three lines.
 *
 * @param images [count, height, width, 3], bytes or floats in [-1, 1]
 * @throws TensorARError when the values do not make `count` images, or an option does not fit
 */
export async function imageGrid(images: Uint8Array | Float32Array, options: GridOptions): Promise<Buffer> {
  const { count, height, width, scale = 1, gap = 2, captions = [] } = options;
  expectImages("imageGrid", images.length, options);
  const columns = options.columns ?? Math.ceil(Math.sqrt(count));
  expectInteger("columns", columns, 1);
  expectInteger("scale", scale, 1);
  expectInteger("gap", gap, 0);
  const rows = Math.ceil(count / columns);
  const span = captions.length === count ? 1 : columns; // images of a caption
  if (captions.length !== 0 && captions.length !== count && captions.length !== rows)
    throw new TensorARError(
      `imageGrid: ${captions.length} captions of ${count} images in ${rows} rows; pass one for each image, or for each row`,
    );
  const cellWidth = width * scale + gap;
  const texts = await drawAll(captions, span * cellWidth - gap);
  const textHeight = Math.max(0, ...texts.map((text) => (text ? text.height + 2 * MARGIN : 0)));
  const cellHeight = height * scale + gap + textHeight;
  const layout: Layout = {
    width: columns * cellWidth - gap,
    height: rows * cellHeight - gap,
    columns,
    cellWidth,
    cellHeight,
    imageHeight: height * scale,
  };
  const out = new Uint8Array(layout.height * layout.width * 3).fill(WHITE); // [H, W, 3]
  putImages(out, layout, images instanceof Float32Array ? toPixels(images) : images, options);
  for (const [i, text] of texts.entries()) if (text) putText(out, layout, text, i * span);
  return sharp(out, { raw: { width: layout.width, height: layout.height, channels: 3 } })
    .png()
    .toBuffer();
}

/** Each distinct text is drawn once. */
async function drawAll(texts: readonly string[], width: number): Promise<(TextPicture | undefined)[]> {
  const drawn = new Map<string, TextPicture | undefined>();
  for (const text of new Set(texts)) drawn.set(text, await drawText(text, width));
  return texts.map((text) => drawn.get(text));
}

function putImages(
  out: Uint8Array,
  { width: canvasWidth, columns, cellWidth, cellHeight }: Layout,
  pixels: Uint8Array,
  { count, height, width, scale = 1 }: GridOptions,
): void {
  const line = new Uint8Array(width * scale * 3);
  for (let row = 0; row < count * height; row++) {
    const [image, y] = [Math.floor(row / height), row % height];
    const source = pixels.subarray(row * width * 3, (row + 1) * width * 3);
    if (scale === 1) line.set(source);
    else for (let at = 0; at < line.length; at++) line[at] = source[Math.floor(at / (3 * scale)) * 3 + (at % 3)]!;
    const top = Math.floor(image / columns) * cellHeight + y * scale;
    const left = (image % columns) * cellWidth;
    for (let copy = 0; copy < scale; copy++) out.set(line, ((top + copy) * canvasWidth + left) * 3);
  }
}

/** Puts a text below an image, at its left. */
function putText(out: Uint8Array, layout: Layout, text: TextPicture, image: number): void {
  const top = Math.floor(image / layout.columns) * layout.cellHeight + layout.imageHeight + MARGIN;
  const left = (image % layout.columns) * layout.cellWidth;
  for (let y = 0; y < text.height; y++) {
    for (let x = 0; x < Math.min(text.width, layout.width - left); x++) {
      const at = ((top + y) * layout.width + left + x) * 3;
      out.fill(text.pixels[y * text.width + x]!, at, at + 3);
    }
  }
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
