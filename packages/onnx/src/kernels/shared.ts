import type { Lowering } from "../backend";
import type { Value } from "../graph";

export type Kernels = Readonly<Record<string, Lowering>>;

/** The shape of a value while tracing, when every size is a number. */
export const sizes = (value: Value): readonly number[] => value.shape as readonly number[];

export const product = (values: readonly number[]): number => values.reduce((a, b) => a * b, 1);

export const range = (length: number, start = 0): number[] => Array.from({ length }, (_, i) => start + i);

/** Axes counted from the front. */
export function positive(axes: number | readonly number[], rank: number): number[] {
  return (typeof axes === "number" ? [axes] : [...axes]).map((axis) => (axis < 0 ? axis + rank : axis));
}

/** The permutation that undoes `perm`. */
export function inverse(perm: readonly number[]): number[] {
  const result = new Array<number>(perm.length);
  for (const [to, from] of perm.entries()) result[from] = to;
  return result;
}

/** The value under a key that the kernel always has. */
export function need(inputs: Readonly<Record<string, Value>>, key: string): Value {
  const value = inputs[key];
  if (!value) throw new Error(`kernel input "${key}" is missing`);
  return value;
}
