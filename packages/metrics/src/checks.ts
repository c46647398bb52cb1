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

/** Number of rows of `values` `[rows, columns]`. @throws where `values` is empty or does not divide into rows. */
export function countRows(where: string, name: string, values: ArrayLike<number>, columns: number): number {
  if (values.length > 0 && values.length % columns === 0) return values.length / columns;
  const remedy = `pass whole rows of ${columns} values, at least one`;
  throw new TensorARError(`${where}: ${name} holds ${values.length} values; ${remedy}`);
}

/** Throws at the first value of `[rows, columns]` that is NaN or infinite. */
export function expectFinite(where: string, name: string, values: ArrayLike<number>, columns: number): void {
  for (let i = 0; i < values.length; i++) {
    if (Number.isFinite(values[i])) continue;
    const place = `row ${Math.floor(i / columns)}, column ${i % columns}`;
    throw new TensorARError(`${where}: ${name} holds ${values[i]} at ${place}; find what made it, or drop that row`);
  }
}
