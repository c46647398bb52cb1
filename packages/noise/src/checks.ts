import { TensorARError } from "@tensorar/core";

/** Throws unless `value` is an integer in `[low, high]`; `where` is the function that was called. */
export function expectInteger(where: string, name: string, value: number, low: number, high: number): void {
  if (Number.isInteger(value) && value >= low && value <= high) return;
  throw new TensorARError(`${where}: ${name} = ${value} is out of range; pass an integer from ${low} to ${high}`);
}

/** Throws unless `actual` entries are what a tensor of `shape` holds. */
export function expectLength(
  where: string,
  name: string,
  actual: number,
  shape: Readonly<Record<string, number>>,
): void {
  const expected = Object.values(shape).reduce((product, size) => product * size, 1);
  if (actual === expected) return;
  const sizes = Object.entries(shape).map(([key, size]) => `${key} = ${size}`);
  throw new TensorARError(`${where}: ${name} holds ${actual} entries, not ${expected}; check ${sizes.join(", ")}`);
}
