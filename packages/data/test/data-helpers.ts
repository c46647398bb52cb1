import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import sharp from "sharp";
import { afterAll } from "vitest";
import { type DecodeOptions, decodeSource, type Sample } from "../src/sources/decode";
import type { ImageSource } from "../src/sources/source";

/** A folder that is gone after the tests of the file. */
export function temporaryFolder(): string {
  const dir = mkdtempSync(join(tmpdir(), "tensorar-data-"));
  afterAll(() => rmSync(dir, { recursive: true, force: true }));
  return dir;
}

export function writeAt(path: string, contents: Uint8Array | string): string {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, contents);
  return path;
}

export type Colour = readonly [number, number, number];

/** An image of one colour, for `.png()`, `.jpeg()` and so on. */
export const plain = ([r, g, b]: Colour, width = 6, height = width) =>
  sharp({ create: { width, height, channels: 3, background: { r, g, b } } });

export const plainPng = (colour: Colour, width = 6, height = width): Promise<Buffer> =>
  plain(colour, width, height).png().toBuffer();

/** Left half red, right half blue, with detail that makes a file long enough to be cut in two. */
export function redAndBlue(width: number, height: number) {
  const data = new Uint8Array(width * height * 3);
  for (let i = 0; i < width * height; i++)
    data.set(i % width < width / 2 ? [255 - (i % 7), 0, 0] : [0, 0, 255 - (i % 7)], i * 3);
  return sharp(data, { raw: { width, height, channels: 3 } });
}

export async function decodeAll(source: ImageSource, options: DecodeOptions): Promise<Sample[]> {
  const samples: Sample[] = [];
  for await (const sample of decodeSource(source, options)) samples.push(sample);
  return samples;
}

/** A source of given files under names that say their order. */
export const sourceOf = (images: readonly Uint8Array[]): ImageSource => ({
  name: "given",
  classes: ["only"],
  attribution: [],
  leftOut: () => [],
  entries: () =>
    images.map((image, i) => ({ name: `image-${i}`, where: `given/image-${i}`, label: 0, load: async () => image })),
});

export const pixelAt = ({ pixels }: Sample, size: number, x: number, y: number): number[] => [
  ...pixels.subarray((y * size + x) * 3, (y * size + x) * 3 + 3),
];

/** A BMP file of one colour, 24 bits a pixel. */
export function bmp24(side: number, [r, g, b]: Colour): Buffer {
  const stride = Math.ceil((side * 3) / 4) * 4;
  const file = Buffer.alloc(54 + stride * side);
  file.write("BM");
  for (const [
    at,
    value,
  ] of [[2, file.length], [10, 54], [14, 40], [18, side], [22, side], [34, stride * side]] as const) // biome-ignore format: pairs
    file.writeUInt32LE(value, at);
  file.writeUInt16LE(1, 26);
  file.writeUInt16LE(24, 28);
  for (let y = 0; y < side; y++) for (let x = 0; x < side; x++) file.set([b, g, r], 54 + y * stride + 3 * x);
  return file;
}
