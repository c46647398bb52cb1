import { imageGrid } from "@tensorar/data";

const CELL = 24;

/**
 * Where codes are revised, as a PNG: a cell for each position, from white (never) to red (always).
 * @param revisions [rows · columns], shares in [0, 1]; NaN where nothing could be revised, which is grey
 */
export function revisionMap(revisions: ArrayLike<number>, [rows, columns]: readonly [number, number]): Promise<Buffer> {
  const pixels = new Uint8Array(rows * columns * 3);
  for (let i = 0; i < rows * columns; i++) {
    const share = revisions[i]!;
    const rest = Math.round(255 * (1 - share));
    pixels.set(Number.isNaN(share) ? [220, 220, 220] : [255 - Math.round(35 * share), rest, rest], 3 * i);
  }
  return imageGrid(pixels, { count: 1, height: rows, width: columns, scale: CELL });
}
