import { expect, test } from "vitest";
import { imageVariants, resizeBicubic, toFloatImages, toPixels, variantCount } from "../src/index";

/** An image whose pixel at (y, x) is 10 · y + x, in all three channels. */
const numbered = (size: number) =>
  Uint8Array.from({ length: size * size * 3 }, (_, i) => 10 * Math.floor(i / 3 / size) + (Math.floor(i / 3) % size));

/** The red channel, row by row. */
const rows = (pixels: Uint8Array, size: number) =>
  Array.from({ length: size }, (_, y) => Array.from({ length: size }, (_, x) => pixels[(y * size + x) * 3]!));

const none = { shift: 1, cropRange: 1.1 };

test("mirrored left to right", () => {
  const [flipped, ...others] = imageVariants(numbered(3), 3, { ...none, augment: ["flip"] });
  expect(others).toEqual([]);
  expect(rows(flipped!, 3)).toEqual([
    [2, 1, 0],
    [12, 11, 10],
    [22, 21, 20],
  ]);
});

test("moved up, down, left and right, with the edge repeated", () => {
  const moved = imageVariants(numbered(3), 3, { ...none, augment: ["shift"] }).map((each) => rows(each, 3));
  const [top, middle, bottom] = rows(numbered(3), 3);
  expect(moved[0]).toEqual([middle, bottom, bottom]);
  expect(moved[1]).toEqual([top, top, middle]);
  expect(moved[2]!.map(([a, b, c]) => [a! % 10, b! % 10, c! % 10])).toEqual(new Array(3).fill([1, 2, 2]));
  expect(moved[3]!.map(([a, b, c]) => [a! % 10, b! % 10, c! % 10])).toEqual(new Array(3).fill([0, 0, 1]));
});

// Of the enlarged image, a corner or the center begins at a row and column. torchvision rounds the center's to even: 0.5 → 0, 1.5 → 2.
test.each([
  { size: 4, range: 1.5, margin: 2, middle: 1 },
  { size: 10, range: 1.1, margin: 1, middle: 0 },
  { size: 6, range: 1.5, margin: 3, middle: 2 },
])("corners and center of $size pixels enlarged by $range", ({ size, range, margin, middle }) => {
  const pixels = numbered(size);
  const large = size + margin;
  const shape = { count: 1, height: size, width: size };
  const enlarged = rows(toPixels(resizeBicubic(toFloatImages(pixels), shape, large)), large);
  const part = (top: number, left: number) =>
    enlarged.slice(top, top + size).map((row) => row.slice(left, left + size));
  const crops = imageVariants(pixels, size, { augment: ["crop"], shift: 0, cropRange: range });
  expect(crops.map((each) => rows(each, size))).toEqual([
    part(0, 0),
    part(0, margin),
    part(margin, 0),
    part(margin, margin),
    part(middle, middle),
  ]);
});

test("with flip, everything is there mirrored too; the image itself is not", () => {
  const options = { augment: ["flip", "crop", "shift"], shift: 1, cropRange: 1.5 } as const;
  const all = imageVariants(numbered(4), 4, options);
  expect(all).toHaveLength(variantCount(options.augment));
  expect(all).toHaveLength(19);
  const plain = [numbered(4), ...all.slice(0, 9)];
  const reversed = plain.map((each) => rows(each, 4).map((row) => row.reverse()));
  expect(all.slice(9).map((each) => rows(each, 4))).toEqual(reversed);
  expect(imageVariants(numbered(4), 4, options)).toEqual(all);
});

test("a range that enlarges nothing is refused", () => {
  const options = { augment: ["crop"], shift: 0, cropRange: 1.1 } as const;
  expect(() => imageVariants(numbered(4), 4, options)).toThrow(/use 1.250 or more/);
});
