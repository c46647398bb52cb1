import { createHash } from "node:crypto";

/**
 * What an image is for: training, every choice while training (validation), one use at the end (test), and combinations of
 * what was seen apart, but never together.
 */
export const SPLITS = ["train", "validation", "test", "combinations"] as const;

/** One of {@link SPLITS}. */
export type Split = (typeof SPLITS)[number];

/** Indices of the images of each split, ascending. */
export type SplitIndices = Readonly<Record<Split, Int32Array>>;

/** The splits that a source has chosen itself, image by image. */
export function splitAsChosen(chosen: readonly Split[]): SplitIndices {
  const of = (split: Split) => Int32Array.from(chosen.flatMap((each, i) => (each === split ? [i] : [])));
  return { train: of("train"), validation: of("validation"), test: of("test"), combinations: of("combinations") };
}

/**
 * Divides images into training and validation by a hash of their names, so that neither order nor later additions move
 * an image to the other side. At least one image is on either side where there are two.
 *
 * @param fraction of the images that go to validation, in (0, 1)
 */
export function splitByName(names: readonly string[], fraction: number): SplitIndices {
  const positions = names.map(hashPosition);
  const lowest = positions.reduce((best, value, i) => (value < positions[best]! ? i : best), 0);
  const highest = positions.reduce((best, value, i) => (value >= positions[best]! ? i : best), 0);
  const isValidation = positions.map((position, i) => i !== highest && (position < fraction || i === lowest));
  const indices = names.map((_, i) => i);
  return {
    train: Int32Array.from(indices.filter((i) => !isValidation[i])),
    validation: Int32Array.from(indices.filter((i) => isValidation[i])),
    test: new Int32Array(0),
    combinations: new Int32Array(0),
  };
}

/** A name's place in [0, 1): the first 32 bits of its SHA-256. */
export const hashPosition = (name: string): number =>
  createHash("sha256").update(name).digest().readUInt32BE(0) / 2 ** 32;
