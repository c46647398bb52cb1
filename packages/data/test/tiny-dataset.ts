import { createStream } from "@tensorar/noise";
import sharp from "sharp";
import { prepareDataset } from "../src/dataset/prepare";
import type { ImageSource } from "../src/sources/source";

/** 12 random images of 8 x 8 pixels in 2 classes. */
export async function writeTinyDataset(dir: string): Promise<void> {
  const random = createStream(2, "tiny-dataset");
  const pixels = Array.from({ length: 12 }, () => Uint8Array.from({ length: 8 * 8 * 3 }, () => random.below(256)));
  const images = pixels.map((data) =>
    sharp(data, { raw: { width: 8, height: 8, channels: 3 } })
      .png()
      .toBuffer(),
  );
  const source: ImageSource = {
    name: "tiny",
    classes: ["even", "odd"],
    attribution: [],
    leftOut: () => [],
    total: images.length,
    entries: () =>
      images.map((image, i) => ({ name: `image ${i}`, where: `image ${i}`, label: i % 2, load: () => image })),
  };
  await prepareDataset(source, { out: dir, size: 8 });
}
