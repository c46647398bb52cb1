import { createWorkspace, type Kernels, type Span } from "./kernels";

/** Rows of numbers, in any layout: entry `[row, t]` is `data[row · rowStep + t · depthStep]`. */
export interface Operand {
  readonly data: Float32Array | Float64Array;
  readonly rows: number;
  readonly rowStep: number;
  readonly depthStep: number;
}

/** Which products of rows are wanted. */
export interface ProductOptions {
  /** Length of the rows. */
  readonly depth: number;
  /** Blocks that hold entries on and below the diagonal, or on and above it, or all. */
  readonly part: "all" | "lower" | "upper";
  /** `a` is upper triangular, so that row i begins at column i; default false. */
  readonly triangular?: boolean;
}

/** A block of products: `values[i · stride + j]` is that of `a`'s row `row + i` and `b`'s row `column + j`. */
export interface ProductBlock {
  readonly values: Float64Array;
  readonly stride: number;
  readonly row: number;
  readonly column: number;
  readonly rows: number;
  readonly columns: number;
}

// A packed block of one operand is half a MiB and stays in the second-level cache while the other's rows go by.
const ROWS = 192;
const DEPTH = 256;

interface Scratch {
  readonly kernels: Kernels;
  readonly a: Span;
  readonly b: Span;
  readonly out: Span;
}

let scratch: Scratch | undefined; // 1.5 MiB that stay

function openScratch(where: string): Scratch {
  const { kernels, take } = createWorkspace(where, 2 * ROWS * DEPTH + ROWS * ROWS);
  return { kernels, a: take(ROWS * DEPTH), b: take(ROWS * DEPTH), out: take(ROWS * ROWS) };
}

/**
 * Visits `a · bᵀ` block by block; the numbers of a block are overwritten by the next. In float64, whatever the operands are.
 *
 * @param where the function that was called, for errors
 */
export function forProducts(
  where: string,
  a: Operand,
  b: Operand,
  { depth, part, triangular = false }: ProductOptions,
  visit: (block: ProductBlock) => void,
): void {
  scratch ??= openScratch(where);
  const { kernels, a: packedA, b: packedB, out } = scratch;
  for (let row = 0; row < a.rows; row += ROWS) {
    const rows = Math.min(ROWS, a.rows - row);
    const first = part === "upper" ? row : 0;
    const end = part === "lower" ? Math.min(row + ROWS, b.rows) : b.rows;
    for (let column = first; column < end; column += ROWS) {
      const columns = Math.min(ROWS, b.rows - column);
      out.values.fill(0);
      for (let from = triangular ? row : 0; from < depth; from += DEPTH) {
        const steps = Math.min(DEPTH, depth - from);
        packRows(packedA.values, a, { row, rows, from, steps });
        packRows(packedB.values, b, { row: column, rows: columns, from, steps });
        kernels.addProducts(out.at, ROWS, packedA.at, packedB.at, steps, rows, columns, 1);
      }
      visit({ values: out.values, stride: ROWS, row, column, rows, columns });
    }
  }
}

/** `out += a · bᵀ` for a row-major `out` `[a.rows, b.rows]`; a part of it is made of whole blocks. */
export function addRowProducts(
  where: string,
  out: Float64Array,
  a: Operand,
  b: Operand,
  options: ProductOptions,
): void {
  forProducts(where, a, b, options, ({ values, stride, row, column, rows, columns }) => {
    for (let i = 0; i < rows; i++) {
      const at = (row + i) * b.rows + column;
      for (let j = 0; j < columns; j++) out[at + j] = out[at + j]! + values[i * stride + j]!;
    }
  });
}

/** Rows of an operand as `addProducts` takes them, `[rows / 4][steps][4]`; rows that are missing in the last four are 0. */
export function packRows(
  packed: Float64Array,
  { data, rowStep, depthStep }: Operand,
  { row, rows, from, steps }: { row: number; rows: number; from: number; steps: number },
): void {
  const whole = rows - (rows % 4);
  let to = 0;
  for (let four = 0; four < whole; four += 4) {
    let at0 = (row + four) * rowStep + from * depthStep;
    let [at1, at2, at3] = [at0 + rowStep, at0 + 2 * rowStep, at0 + 3 * rowStep];
    for (const end = to + 4 * steps; to < end; to += 4) {
      packed[to] = data[at0]!;
      packed[to + 1] = data[at1]!;
      packed[to + 2] = data[at2]!;
      packed[to + 3] = data[at3]!;
      at0 += depthStep;
      at1 += depthStep;
      at2 += depthStep;
      at3 += depthStep;
    }
  }
  if (whole === rows) return;
  packed.fill(0, to, to + 4 * steps);
  for (let i = whole; i < rows; i++) {
    const at = (row + i) * rowStep + from * depthStep;
    for (let t = 0; t < steps; t++) packed[to + 4 * t + i - whole] = data[at + t * depthStep]!;
  }
}

/** Copies the lower triangle of a `[size, size]` matrix to the upper one, in place. */
export function mirrorLower(matrix: Float64Array, size: number): void {
  for (let i = 0; i < size; i++) for (let j = 0; j < i; j++) matrix[j * size + i] = matrix[i * size + j]!;
}
