import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import sharp from "sharp";
import { describe, expect, test } from "vitest";
import { resizeBicubic } from "../src/images/bicubic";
import { flipHalf } from "../src/images/flip";
import { imageGrid, savePng, toDataUri } from "../src/images/grid";
import { toFloatImages, toPixels } from "../src/images/pixels";
import { temporaryFolder } from "./data-helpers";

const root = temporaryFolder();
const bytes = Uint8Array.from({ length: 256 }, (_, i) => i);

describe("pixels", () => {
  test("bytes become [-1, 1] and come back", () => {
    const floats = toFloatImages(bytes);
    expect(floats[0]).toBe(-1);
    expect(floats[255]).toBe(1);
    expect(floats[51]).toBeCloseTo(-0.6, 6);
    expect(toPixels(floats)).toEqual(bytes);
  });

  test("floats are clamped and rounded to the nearest byte", () => {
    expect([...toPixels(Float32Array.of(-7, -1, 0.004, 0, 1, Number.POSITIVE_INFINITY))]).toEqual([
      0, 0, 128, 128, 255, 255,
    ]);
  });

  test("NaN is refused", () => {
    expect(() => toPixels(Float32Array.of(0, Number.NaN))).toThrow(/value 1 of 2 is NaN/);
  });
});

test("resizing gives what PyTorch's bicubic interpolation does", () => {
  const [height, width] = [4, 5];
  const image = new Float32Array(height * width * 3);
  for (let y = 0; y < height; y++)
    for (let x = 0; x < width; x++)
      for (let c = 0; c < 3; c++) image[(y * width + x) * 3 + c] = Math.sin(1.7 * (c * 20 + y * 5 + x));
  // interpolate(x, (3, 3), mode="bicubic") and the first of (6, 6), in float64, of PyTorch 2.13
  const smaller = [
    0.3919311, -0.0823421, -0.252185, -0.3356694, -0.0865428, 0.4825446, 0.1221208, 0.2148757, -0.486795, -0.3579483,
    0.0733216, 0.2335113, 0.3054686, 0.0822801, -0.4451096, -0.1098533, -0.1993273, 0.4481398, 0.3881122, -0.0774408,
    -0.2566842, -0.3300097, -0.0927626, 0.4874409, 0.1172723, 0.2194997, -0.489794,
  ];
  const larger = [
    -0.1327443, 0.7491197, -1.1386172, 1.0085628, -0.6931404, 0.1677938, 0.5127082, -0.9356693, 1.0752541, -0.8374981,
    0.353125, 0.2381954, -0.8123927, 1.0449918, -0.9611053, 0.585718, 0.0633356, -0.6932075,
  ];
  const both = Float32Array.of(...image, ...image);
  const result = resizeBicubic(both, { count: 2, height, width }, 3);
  for (const [i, value] of [...smaller, ...smaller].entries()) expect(result[i]).toBeCloseTo(value, 6);
  const enlarged = resizeBicubic(image, { count: 1, height, width }, 6);
  for (const [i, value] of larger.entries()) expect(enlarged[i]).toBeCloseTo(value, 6);
});

/** [count, 2, 3, 3], all values different from white. */
const images = (count: number): Uint8Array => Uint8Array.from({ length: count * 18 }, (_, i) => (i * 7) % 250);

async function pixelsOf(png: Uint8Array) {
  const { data, info } = await sharp(png).raw().toBuffer({ resolveWithObject: true });
  return {
    width: info.width,
    height: info.height,
    at: (x: number, y: number) => [...data.subarray((y * info.width + x) * 3, (y * info.width + x) * 3 + 3)],
  };
}

describe("imageGrid", () => {
  const shape = { count: 5, height: 2, width: 3 };

  test("every pixel is a block at its place, the rest is white", async () => {
    const given = images(5);
    const [columns, scale, gap] = [2, 3, 1];
    const grid = await pixelsOf(await imageGrid(given, { ...shape, columns, scale, gap }));
    expect([grid.width, grid.height]).toEqual([2 * 9 + 1, 3 * 6 + 2]);
    for (let y = 0; y < grid.height; y++) {
      for (let x = 0; x < grid.width; x++) {
        const image = Math.floor(y / 7) * columns + Math.floor(x / 10);
        const inside = x % 10 < 9 && y % 7 < 6 && image < 5;
        const source = (image * 6 + Math.floor((y % 7) / 3) * 3 + Math.floor((x % 10) / 3)) * 3;
        expect(grid.at(x, y)).toEqual(inside ? [...given.subarray(source, source + 3)] : [255, 255, 255]);
      }
    }
  });

  test("is near to square unless told, and takes floats", async () => {
    const grid = await imageGrid(images(5), shape);
    const { width, height } = await pixelsOf(grid);
    expect([width, height]).toEqual([3 * 3 + 2 * 2, 2 * 2 + 2]);
    expect((await imageGrid(toFloatImages(images(5)), shape)).equals(grid)).toBe(true);
  });

  test.each([
    [{ count: 4 }, /90 values do not make 4 images of 2 × 3 × 3/],
    [{ columns: 0 }, /columns = 0/],
    [{ scale: 1.5 }, /scale = 1.5/],
    [{ gap: -1 }, /gap = -1/],
    [{ count: 0 }, /count = 0/],
  ])("refuses %o", async (wrong, message) => {
    await expect(imageGrid(images(5), { ...shape, ...wrong })).rejects.toThrow(message);
  });

  test("captions stand below their images or rows, at most three lines high, and images stay as they are", async () => {
    const [columns, scale, gap] = [3, 30, 2];
    const plain = await pixelsOf(await imageGrid(images(5), { ...shape, columns, scale, gap }));
    const captions = ["a red heart", "", "<b> & שלום", "x".repeat(10_000), "a\u0007b\n c"];
    const each = await pixelsOf(await imageGrid(images(5), { ...shape, columns, scale, gap, captions }));
    const added = (each.height - plain.height) / 2;
    expect(each.width).toBe(plain.width);
    expect(added).toBeGreaterThan(2 * 11); // two lines at least,
    expect(added).toBeLessThan(4 * 15 + 6); // and no four
    const isDark = (x: number, y: number) => each.at(x, y)[0]! < 128;
    const inked = (image: number) => {
      const [left, top] = [(image % 3) * 92, Math.floor(image / 3) * (62 + added) + 60];
      let ink = 0;
      for (let y = top; y < top + added; y++) for (let x = left; x < left + 90; x++) if (isDark(x, y)) ink++;
      return ink;
    };
    expect(inked(1)).toBe(0);
    for (const image of [0, 2, 3, 4]) expect(inked(image)).toBeGreaterThan(20);
    for (const [x, y] of [[0, 0], [100, 59], [183, 31]] as const) expect(each.at(x, y)).toEqual(plain.at(x, y)); // biome-ignore format: points
    expect(each.at(0, 62 + added)).toEqual(plain.at(0, 62));
    const rows = { ...shape, columns, scale, gap, captions: ["a caption as wide as a row of images", "below"] };
    const wide = await pixelsOf(await imageGrid(images(5), rows));
    expect((wide.height - plain.height) / 2).toBeLessThan(2 * 11); // one line
    await expect(imageGrid(images(5), { ...rows, captions: ["a", "b", "c"] })).rejects.toThrow(
      /3 captions of 5 images/,
    );
  });

  test("is saved whole, and as a data URI", async () => {
    const png = await imageGrid(images(5), shape);
    const path = join(root, "grid.png");
    await savePng(path, png);
    expect(readFileSync(path).equals(png)).toBe(true);
    expect(readdirSync(root)).toEqual(["grid.png"]);
    const uri = toDataUri(png);
    expect(uri.startsWith("data:image/png;base64,")).toBe(true);
    expect(Buffer.from(uri.split(",")[1]!, "base64").equals(png)).toBe(true);
    expect(toDataUri(new Uint8Array(png).subarray(8))).toBe(
      `data:image/png;base64,${png.subarray(8).toString("base64")}`,
    );
    await expect(savePng(join(root, "none", "grid.png"), png)).rejects.toThrow(/none.*grid\.png/);
  });
});

describe("flipHalf", () => {
  const shape = { count: 400, height: 2, width: 3 };
  const given = images(400);
  const row = (data: Uint8Array, image: number, y: number) =>
    Array.from({ length: 3 }, (_, x) => [
      ...data.subarray(((image * 2 + y) * 3 + x) * 3, ((image * 2 + y) * 3 + x) * 3 + 3),
    ]);
  const mirrored = (data: Uint8Array) =>
    Array.from({ length: shape.count }, (_, image) => {
      const kept = [0, 1].every((y) => JSON.stringify(row(data, image, y)) === JSON.stringify(row(given, image, y)));
      const flipped = [0, 1].every(
        (y) => JSON.stringify(row(data, image, y)) === JSON.stringify(row(given, image, y).toReversed()),
      );
      expect(kept !== flipped).toBe(true);
      return flipped;
    });

  test("mirrors about half, the same ones for the same step", () => {
    const before = given.slice();
    const first = flipHalf(given, shape, { seed: 1, step: 7 });
    const share = mirrored(first).filter(Boolean).length / shape.count;
    expect(Math.abs(share - 0.5)).toBeLessThan(0.125); // five standard deviations of 0.025
    expect(flipHalf(given, shape, { seed: 1, step: 7 })).toEqual(first);
    expect(mirrored(flipHalf(given, shape, { seed: 1, step: 8 }))).not.toEqual(mirrored(first));
    expect(given).toEqual(before);
  });

  test("refuses images of another shape", () => {
    expect(() => flipHalf(given, { ...shape, count: 399 }, { seed: 1, step: 0 })).toThrow(/do not make 399 images/);
  });
});
