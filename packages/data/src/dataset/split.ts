import { createHash } from "node:crypto";

/**
 * Divides images into training and validation by a hash of their names, so that neither order nor later additions move
 * an image to the other side. At least one image is on either side where there are two.
 *
 * @param share of the images that go to validation, in (0, 1)
 */
export function splitByName(names: readonly string[], share: number): { train: Int32Array; validation: Int32Array } {
  const positions = names.map(hashPosition);
  const lowest = positions.reduce((best, value, i) => (value < positions[best]! ? i : best), 0);
  const highest = positions.reduce((best, value, i) => (value >= positions[best]! ? i : best), 0);
  const isValidation = positions.map((position, i) => i !== highest && (position < share || i === lowest));
  const indices = names.map((_, i) => i);
  return {
    train: Int32Array.from(indices.filter((i) => !isValidation[i])),
    validation: Int32Array.from(indices.filter((i) => isValidation[i])),
  };
}

/** A name's place in [0, 1): the first 32 bits of its SHA-256. */
const hashPosition = (name: string): number => createHash("sha256").update(name).digest().readUInt32BE(0) / 2 ** 32;
