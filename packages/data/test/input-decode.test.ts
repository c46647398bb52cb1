import { crc32 } from "node:zlib";
import sharp from "sharp";
import { describe, expect, test } from "vitest";
import { decodeImage, floatBytes } from "../src/files/decode-image";
import { createGate } from "../src/files/gate";
import { MAX_PIXELS } from "../src/limits";
import { bmp24, plainPng } from "./data-helpers";
import { tiff } from "./tiff";

const decode = (bytes: Uint8Array, options = {}) =>
  decodeImage("file", async () => bytes, { maxPixels: MAX_PIXELS, ...options });
const pixels = async (bytes: Uint8Array): Promise<number[]> => [...(await decode(bytes)).data];

describe("floating point TIFF", () => {
  test("grey and RGB in [0, 1] become bytes without a gamma", async () => {
    const grey = tiff({ width: 4, height: 1, channels: 1, values: [0, 0.25, 0.5, 1] });
    expect(await pixels(grey)).toEqual([0, 64, 128, 255].flatMap((value) => [value, value, value])); // round(255 x)
    const rgb = tiff({ width: 2, height: 1, channels: 3, values: [0, 0.2, 0.4, 0.6, 0.8, 1] });
    expect(await pixels(rgb)).toEqual([0, 51, 102, 153, 204, 255]);
  });

  test("scaled like others", async () => {
    const image = tiff({ width: 3, height: 1, channels: 3, values: new Array(9).fill(0.4) });
    expect([...(await decode(image, { size: 2 })).data]).toEqual(new Array(12).fill(102));
  });

  test.each([
    ["NaN", Number.NaN, /floating point number NaN/],
    ["infinity", Number.POSITIVE_INFINITY, /number Infinity/],
    ["0 … 255", 254, /floating point number 254, where 0 is black and 1 white; scale it/],
    ["negative numbers", -0.5, /number -0\.5/],
  ])("with %s is refused", async (_, value, message) => {
    await expect(decode(tiff({ width: 2, height: 1, channels: 1, values: [0.5, value] }))).rejects.toThrow(message);
  });

  test("rounding out of [0, 1] is not", () => {
    expect([...floatBytes(Float32Array.of(-1e-7, 1.0000001))]).toEqual([0, 255]);
  });

  test("of 32-bit integers is refused, not cut off at 255", async () => {
    const image = tiff({ width: 2, height: 1, channels: 1, values: [0, 70000], format: "uint" });
    await expect(decode(image)).rejects.toThrow(/pixels of type uint; save it with 8 or 16 bits/);
  });
});

describe("BMP", () => {
  test("24 bits, rows upwards and padded", async () => {
    expect(await pixels(bmp24(3, [10, 200, 30]))).toEqual(new Array(9).fill([10, 200, 30]).flat());
  });

  test("a palette, rows downwards", async () => {
    const file = Buffer.alloc(54 + 8 + 8);
    file.write("BM");
    for (const [at, value] of [[2, file.length], [10, 62], [14, 40], [18, 2], [34, 8], [46, 2]] as const) // biome-ignore format: pairs
      file.writeUInt32LE(value, at);
    file.writeInt32LE(-2, 22);
    file.writeUInt16LE(1, 26);
    file.writeUInt16LE(8, 28);
    file.set([1, 2, 3, 0, 4, 5, 6, 0], 54); // blue, green, red of both colours
    file.set([0, 1, 0, 0, 1, 1, 0, 0], 62); // rows of four bytes
    expect(await pixels(file)).toEqual([3, 2, 1, 6, 5, 4, 6, 5, 4, 6, 5, 4]);
  });

  test("cut off, of hostile size, or of 16 bits", async () => {
    const whole = bmp24(8, [1, 2, 3]);
    await expect(decode(whole.subarray(0, 150))).rejects.toThrow(/file: not a readable image \(.*bmp/i);
    await expect(decode(whole.subarray(0, 27))).rejects.toThrow(/BMP file that is cut off/);
    const huge = Buffer.from(whole);
    huge.writeInt32LE(2 ** 31 - 1, 18);
    huge.writeInt32LE(-(2 ** 31), 22);
    await expect(decode(huge)).rejects.toThrow(/2147483647 × 2147483648 pixels are more than --max-pixels/);
    const sixteen = Buffer.from(whole);
    sixteen.writeUInt16LE(16, 28);
    await expect(decode(sixteen)).rejects.toThrow(/16 bits a pixel; save it with 24/);
  });
});

describe("what is no image, or too much of one", () => {
  test.each([
    [
      "a pointer of Git LFS",
      "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n",
      /Git LFS pointer.*git lfs pull/,
    ],
    ["a web page", "<!DOCTYPE html><html>", /it is a web page; download the file itself/],
    ["nothing", "", /an empty file/],
  ])("%s", async (_, text, message) => {
    await expect(decode(Buffer.from(text))).rejects.toThrow(message);
  });

  test("drawings are taken from this program alone", async () => {
    const svg = Buffer.from(
      '<svg xmlns="http://www.w3.org/2000/svg" width="2" height="2"><rect width="2" height="2" fill="#f00"/></svg>',
    );
    await expect(decode(svg)).rejects.toThrow(/a drawing \(SVG\), which has no pixels/);
    expect([...(await decode(svg, { drawn: true })).data]).toEqual(new Array(4).fill([255, 0, 0]).flat());
  });

  test("more pixels than the limit are refused before they are decoded", async () => {
    const bomb = await sharp({ create: { width: 2000, height: 1000, channels: 3, background: "#fff" } })
      .png()
      .toBuffer();
    await expect(decode(bomb, { maxPixels: 1_999_999 })).rejects.toMatchObject({
      code: "limit",
      message: expect.stringContaining("2000 × 1000 pixels are more than --max-pixels 1999999"),
    });
    expect((await decode(bomb, { maxPixels: 2_000_000 })).width).toBe(2000);
  });

  test("a side that no image has is refused, however few pixels the other leaves", async () => {
    const png = await plainPng([1, 2, 3], 1);
    png.writeUInt32BE(65_536, png.indexOf("IHDR") + 4);
    png.writeUInt32BE(crc32(png.subarray(12, 29)), 29);
    await expect(decode(png)).rejects.toMatchObject({
      code: "limit",
      message: expect.stringContaining("65536 × 1 pixels; at most 65535 a side are read"),
    });
  });
});

test("formats that sharp reads stay as they were", async () => {
  expect(await pixels(await plainPng([1, 2, 3], 1))).toEqual([1, 2, 3]);
  const sixteen = tiff({ width: 1, height: 1, channels: 3, values: [0, 0x8000, 0xffff], format: "uint", bits: 16 });
  expect(await pixels(sixteen)).toEqual([0, 128, 255]);
});

test("a gate lets in what fits, in order, and one that is too heavy alone", async () => {
  const gate = createGate(10);
  let [now, most] = [0, 0];
  const log: number[] = [];
  const weights = [4, 4, 4, 30, 1, 9, 1];
  await Promise.all(
    weights.map((weight, i) =>
      gate.run(weight, async () => {
        now += weight;
        if (weight <= 10) most = Math.max(most, now);
        else expect(now).toBe(30);
        await new Promise((done) => setTimeout(done, 2));
        now -= weight;
        log.push(i);
      }),
    ),
  );
  expect(most).toBe(10);
  expect(log.toSorted((a, b) => a - b)).toEqual(weights.map((_, i) => i));
  await expect(gate.run(10, () => Promise.reject(new Error("no")))).rejects.toThrow("no");
  expect(await gate.run(10, async () => "free again")).toBe("free again");
});
