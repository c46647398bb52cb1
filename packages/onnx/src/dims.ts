/**
 * Sizes that are known while tracing (numbers) or only at run time (polynomials of the symbolic dimensions).
 *
 * A polynomial is multilinear: Σ over subsets S of the symbolic dimensions of coefficient[S] · Π dims in S, where bit i of
 * the index S stands for dimension i. Coefficients are integers over one common denominator, so sizes such as `h·w / 4` stay exact.
 */
export interface Polynomial {
  readonly numerators: readonly number[];
  readonly denominator: number;
}

export type Dim = number | Polynomial;
export type Shape = readonly Dim[];

export const isSymbolic = (dim: Dim): dim is Polynomial => typeof dim !== "number";

export function sameDim(a: Dim, b: Dim): boolean {
  if (typeof a === "number" || typeof b === "number") return a === b;
  return a.denominator === b.denominator && a.numerators.every((value, i) => value === b.numerators[i]);
}

export const sameShape = (a: Shape, b: Shape): boolean =>
  a.length === b.length && a.every((dim, i) => sameDim(dim, b[i] as Dim));

/** The value of a size once every symbolic dimension has one of `sizes`. */
export function evaluate(dim: Dim, sizes: readonly number[]): number {
  if (typeof dim === "number") return dim;
  let sum = 0;
  for (const [subset, numerator] of dim.numerators.entries()) {
    sum += sizes.reduce((product, size, i) => (subset & (1 << i) ? product * size : product), numerator);
  }
  return sum / dim.denominator;
}

/**
 * The multilinear polynomial through `values`, where `values[corner]` was seen with dimension i at `high[i]` if bit i of
 * `corner` is set and at `low[i]` otherwise. Collapses to a number when nothing varies.
 */
export function interpolate(values: readonly number[], low: readonly number[], high: readonly number[]): Dim {
  const terms = [...values];
  let denominator = 1;
  for (let i = 0; i < low.length; i++) {
    const [a, b] = [low[i] as number, high[i] as number];
    for (let corner = 0; corner < terms.length; corner++) {
      if (corner & (1 << i)) continue;
      const [atLow, atHigh] = [terms[corner] as number, terms[corner | (1 << i)] as number];
      terms[corner] = atLow * b - atHigh * a;
      terms[corner | (1 << i)] = atHigh - atLow;
    }
    denominator *= b - a;
  }
  return reduceFraction(terms, denominator);
}

/** Sizes of the symbolic dimensions that functions are recorded at. */
export interface Samples {
  /** Recording c < 2ⁿ has dimension i at `high[i]` if bit i of c is set, else at `low[i]`. */
  readonly low: readonly number[];
  readonly high: readonly number[];
  /** Those of the last recording, which checks what the others say. */
  readonly check: readonly number[];
}

/** The sizes of recording `index`; the check comes last. */
export function sampleSizes({ low, high, check }: Samples, index: number): readonly number[] {
  return index < 2 ** low.length ? low.map((size, i) => (index & (1 << i) ? high[i]! : size)) : check;
}

/** The size that had these values, one of each recording; undefined where it is no polynomial that also predicts the check. */
export function fitDim(values: readonly number[], { low, high, check }: Samples): Dim | undefined {
  const [first] = values as [number];
  if (values.every((value) => value === first)) return first;
  if (!values.every(Number.isInteger)) return undefined;
  const dim = interpolate(values.slice(0, -1), low, high);
  return evaluate(dim, check) === values.at(-1) ? dim : undefined;
}

function reduceFraction(numerators: readonly number[], denominator: number): Dim {
  const divisor = numerators.reduce((a, b) => gcd(a, Math.abs(b)), Math.abs(denominator)) * Math.sign(denominator);
  const reduced = numerators.map((value) => value / divisor + 0); // + 0 turns -0 into 0
  const rest = denominator / divisor;
  if (rest === 1 && reduced.every((value, subset) => subset === 0 || value === 0)) return reduced[0] as number;
  return { numerators: reduced, denominator: rest };
}

const gcd = (a: number, b: number): number => (b === 0 ? a : gcd(b, a % b));

/** A readable form for ONNX `dim_param` and messages, such as `batch` or `4*batch*length+1`. */
export function formatDim(dim: Dim, names: readonly string[]): string {
  if (typeof dim === "number") return String(dim);
  const terms: string[] = [];
  for (const [subset, numerator] of dim.numerators.entries()) {
    if (numerator === 0) continue;
    const factors = names.filter((_, i) => subset & (1 << i));
    terms.push([...(numerator === 1 && factors.length > 0 ? [] : [String(numerator)]), ...factors].join("*"));
  }
  const sum = terms.reverse().join("+").replaceAll("+-", "-");
  return dim.denominator === 1 ? sum : `(${sum})/${dim.denominator}`;
}

/** NumPy broadcasting; throws when a pair of sizes can't be matched. */
export function broadcastShape(...shapes: readonly Shape[]): Shape {
  const rank = Math.max(...shapes.map((shape) => shape.length));
  return Array.from({ length: rank }, (_, axis) => {
    let result: Dim = 1;
    for (const shape of shapes) {
      const dim = shape[axis - rank + shape.length] ?? 1;
      if (dim === 1 || sameDim(dim, result)) continue;
      if (result !== 1)
        throw new RangeError(`shapes ${shapes.map((s) => `[${s.join()}]`).join(" and ")} don't broadcast`);
      result = dim;
    }
    return result;
  });
}
