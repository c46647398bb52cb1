import sharp from "sharp";
import { describe, expect, test } from "vitest";
import type { SkippedImage } from "../src/sources/decode";
import { type Colour, decodeAll, pixelAt, plain, plainPng, redAndBlue, sourceOf } from "./data-helpers";

const decodeOne = async (image: Uint8Array, size: number) => (await decodeAll(sourceOf([image]), { size }))[0]!;

/** JPEG, YCbCr and colour profiles move a channel by a few levels. */
function expectColour(actual: number[], expected: Colour, tolerance = 6): void {
  expected.forEach((value, channel) => {
    expect(Math.abs(actual[channel]! - value), `${actual} is not ${expected}`).toBeLessThanOrEqual(tolerance);
  });
}

describe("formats", () => {
  const colour: Colour = [200, 80, 40];
  test.each(["png", "jpeg", "webp", "gif", "tiff", "avif"] as const)("%s", async (format) => {
    const image = await plain(colour, 16).toFormat(format).toBuffer();
    const sample = await decodeOne(image, 8);
    expect(sample.pixels.length).toBe(8 * 8 * 3);
    expectColour(pixelAt(sample, 8, 4, 4), colour);
  });

  test("grey becomes three equal channels", async () => {
    const image = await sharp(new Uint8Array(16).fill(77), { raw: { width: 4, height: 4, channels: 1 } })
      .toColourspace("b-w")
      .png()
      .toBuffer();
    expect((await sharp(image).metadata()).channels).toBe(1);
    expect([...(await decodeOne(image, 2)).pixels]).toEqual(new Array(12).fill(77));
  });

  test("grey with alpha is laid on white", async () => {
    const image = await sharp(
      new Uint8Array(32).map((_, i) => (i % 2 ? 0 : 10)),
      { raw: { width: 4, height: 4, channels: 2 } },
    )
      .png()
      .toBuffer();
    expect([...(await decodeOne(image, 2)).pixels]).toEqual(new Array(12).fill(255));
  });

  test("16 bits are reduced to 8", async () => {
    const data = Uint16Array.from({ length: 48 }, (_, i) => [0x1234, 0x8000, 0xffff][i % 3]!);
    const image = await sharp(data, { raw: { width: 4, height: 4, channels: 3 } })
      .toColourspace("rgb16")
      .png()
      .toBuffer();
    expect((await sharp(image).metadata()).depth).toBe("ushort");
    expectColour(pixelAt(await decodeOne(image, 4), 4, 1, 1), [0x12, 0x80, 0xff], 1);
  });

  test("CMYK becomes RGB", async () => {
    const image = await plain([0, 0, 0], 8).toColourspace("cmyk").jpeg().toBuffer();
    expect((await sharp(image).metadata()).space).toBe("cmyk");
    const [r, g, b] = pixelAt(await decodeOne(image, 4), 4, 2, 2);
    expect(Math.max(r!, g!, b!)).toBeLessThan(70); // CMYK black is not quite black
  });

  test("half-transparent black on white is middle grey", async () => {
    const image = await sharp({
      create: { width: 4, height: 4, channels: 4, background: { r: 0, g: 0, b: 0, alpha: 0.5 } },
    })
      .png()
      .toBuffer();
    expectColour(pixelAt(await decodeOne(image, 4), 4, 2, 2), [127, 127, 127], 1);
  });

  test("EXIF orientation is applied", async () => {
    // Orientation 3 is upside down: red, stored on the left, belongs on the right.
    const image = await redAndBlue(16, 16)
      .withMetadata({ orientation: 3 })
      .jpeg({ quality: 100, chromaSubsampling: "4:4:4" })
      .toBuffer();
    const sample = await decodeOne(image, 16);
    expectColour(pixelAt(sample, 16, 1, 8), [0, 0, 252], 12);
    expectColour(pixelAt(sample, 16, 14, 8), [252, 0, 0], 12);
  });
});

describe("size", () => {
  test("the centre square is cut out of a wide image", async () => {
    const bars = new Uint8Array(30 * 10 * 3);
    for (let i = 0; i < 300; i++)
      bars.set(
        [
          [255, 0, 0],
          [0, 255, 0],
          [0, 0, 255],
        ][Math.floor((i % 30) / 10)]!,
        i * 3,
      );
    const sample = await decodeOne(
      await sharp(bars, { raw: { width: 30, height: 10, channels: 3 } })
        .png()
        .toBuffer(),
      10,
    );
    for (let i = 0; i < 100; i++) expect(pixelAt(sample, 10, i % 10, Math.floor(i / 10))).toEqual([0, 255, 0]);
  });

  test("an image of the right size is left as it is", async () => {
    const image = redAndBlue(12, 12);
    const sample = await decodeOne(await image.clone().png().toBuffer(), 12);
    expect(Buffer.from(sample.pixels).equals(await image.raw().toBuffer())).toBe(true);
  });

  test("small images are enlarged", async () => {
    expect([...(await decodeOne(await plainPng([9, 8, 7], 1), 3)).pixels]).toEqual([
      9, 8, 7, 9, 8, 7, 9, 8, 7, 9, 8, 7, 9, 8, 7, 9, 8, 7, 9, 8, 7, 9, 8, 7, 9, 8, 7,
    ]);
  });
});

describe("bad images", () => {
  const cut = async (format: "png" | "jpeg" | "webp"): Promise<Uint8Array> => {
    const whole = await redAndBlue(64, 64).toFormat(format, { quality: 100 }).toBuffer();
    return whole.subarray(0, Math.floor(whole.length / 2));
  };

  test.each(["png", "jpeg", "webp"] as const)("a truncated %s names the file and the way out", async (format) => {
    const source = sourceOf([await plainPng([1, 2, 3]), await cut(format)]);
    await expect(decodeAll(source, { size: 8 })).rejects.toThrow(
      /^given\/image-1: not a readable image \(.+\); repair .* --on-bad-image skip$/,
    );
  });

  test("no image at all", async () => {
    await expect(decodeAll(sourceOf([Buffer.from("hello")]), { size: 8 })).rejects.toThrow(
      /given\/image-0: not a readable image/,
    );
    await expect(decodeAll(sourceOf([new Uint8Array()]), { size: 8 })).rejects.toThrow(
      /given\/image-0: not a readable image/,
    );
  });

  test("skipping lists them and keeps the order of the others", async () => {
    const images = await Promise.all(
      Array.from({ length: 30 }, (_, i) => (i % 10 === 4 ? cut("png") : plainPng([i, i, i]))),
    );
    const skipped: SkippedImage[] = [];
    const samples = await decodeAll(sourceOf(images), {
      size: 2,
      onBadImage: "skip",
      onSkip: (image) => skipped.push(image),
    });
    expect(skipped.map(({ file }) => file)).toEqual(["given/image-4", "given/image-14", "given/image-24"]);
    expect(samples.map(({ pixels }) => pixels[0])).toEqual(
      Array.from({ length: 30 }, (_, i) => i).filter((i) => i % 10 !== 4),
    );
  });

  test("a stop ends the work with the signal's reason", async () => {
    const images = await Promise.all(Array.from({ length: 20 }, () => plainPng([0, 0, 0])));
    await expect(decodeAll(sourceOf(images), { size: 2, signal: AbortSignal.abort() })).rejects.toThrow(
      expect.objectContaining({ name: "AbortError" }),
    );
  });
});
