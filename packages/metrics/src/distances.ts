import type { FeatureSet } from "./feature-set";

/**
 * Inner products of rows: `a` [rowsA, dims] and `b` [rowsB, dims], both float32, → [rowsA, rowsB]. A matrix product on whatever is
 * fastest, such as one compiled with `@tensorar/onnx`; accurate to float32.
 */
export type RowProducts = (
  a: Float32Array,
  b: Float32Array,
  shape: { readonly rowsA: number; readonly rowsB: number; readonly dims: number },
) => Promise<Float32Array>;

/** Rows of a block of distances; with 50,000 columns such a block is 100 MB. */
const BLOCK = 512;

/** A set whose rows were moved by the same vector, with what bounds the error of float32 products. */
export interface CentredSet {
  readonly source: FeatureSet;
  readonly data: Float32Array;
  /** Squared length of every row. */
  readonly squares: Float64Array;
}

export function meanRow({ data, count, dims }: FeatureSet): Float64Array {
  const mean = new Float64Array(dims);
  for (let i = 0; i < data.length; i++) mean[i % dims] = mean[i % dims]! + data[i]! / count;
  return mean;
}

export function centred(source: FeatureSet, mean: Float64Array): CentredSet {
  const { data: values, count, dims } = source;
  const data = new Float32Array(values.length);
  const squares = new Float64Array(count);
  for (let i = 0; i < count; i++) {
    for (let j = 0; j < dims; j++) {
      const value = values[i * dims + j]! - mean[j]!;
      data[i * dims + j] = value;
      squares[i] = squares[i]! + value * value;
    }
  }
  return { source, data, squares };
}

/** Distances from row i of one set to all rows of another; the arrays are overwritten by the next row. */
interface RowDistances {
  readonly i: number;
  /** Squared distances. */
  readonly squared: Float64Array;
  /** Bounds of their errors. */
  readonly error: Float64Array;
}

/**
 * All pairs, row by row of `a`, with bounds of the error: rounding the rows moves a product by at most 2⁻²³ of the lengths,
 * and adding up `dims` terms in float32 by `dims` times as much, in any order.
 */
export async function* distancesByRow(
  a: CentredSet,
  b: CentredSet,
  products: RowProducts,
): AsyncGenerator<RowDistances> {
  const { count, dims } = a.source;
  const columns = b.source.count;
  const relative = 2 * (dims + 2) * 2 ** -23;
  const lengths = Float64Array.from(b.squares, Math.sqrt);
  const [squared, error] = [new Float64Array(columns), new Float64Array(columns)];
  for (let start = 0; start < count; start += BLOCK) {
    const rows = Math.min(BLOCK, count - start);
    const block = a.data.subarray(start * dims, (start + rows) * dims);
    const dots = await products(block, b.data, { rowsA: rows, rowsB: columns, dims }); // [rows, columns]
    for (let row = 0; row < rows; row++) {
      const square = a.squares[start + row]!;
      const length = Math.sqrt(square) * relative;
      for (let j = 0; j < columns; j++) {
        squared[j] = square + b.squares[j]! - 2 * dots[row * columns + j]!;
        error[j] = length * lengths[j]!;
      }
      yield { i: start + row, squared, error };
    }
  }
}

/** Squared distance of two rows, in float64. */
export function exactSquared({ source: a }: CentredSet, i: number, { source: b }: CentredSet, j: number): number {
  const { dims } = a;
  let sum = 0;
  for (let t = 0; t < dims; t++) sum += (a.data[i * dims + t]! - b.data[j * dims + t]!) ** 2;
  return sum;
}
