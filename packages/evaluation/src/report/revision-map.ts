import { imageGrid } from "@tensorar/data";

const CELL = 24;

/**
 * Where codes are revised, as a PNG: a cell for each position, from white (never) to red (always).
 * @param revisions [rows · columns], fractions in [0, 1]; NaN where nothing could be revised, which is grey
 */
export function revisionMap(revisions: ArrayLike<number>, [rows, columns]: readonly [number, number]): Promise<Buffer> {
  const pixels = new Uint8Array(rows * columns * 3);
  for (let i = 0; i < rows * columns; i++) {
    const fraction = revisions[i]!;
    const rest = Math.round(255 * (1 - fraction));
    pixels.set(Number.isNaN(fraction) ? [220, 220, 220] : [255 - Math.round(35 * fraction), rest, rest], 3 * i);
  }
  return imageGrid(pixels, { count: 1, height: rows, width: columns, scale: CELL });
}
