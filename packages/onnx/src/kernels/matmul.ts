import { ShapeError } from "@tensorar/core";
import type { Lowering } from "../backend";
import { at } from "../callsite";
import { broadcastShape } from "../dims";
import type { Builder, Value } from "../graph";
import { activation } from "./elementwise";
import { type Kernels, need, product, range, sizes } from "./shared";

/**
 * Matrix products. What is really two-dimensional, matrices or a batch against one shared matrix, becomes a `Gemm`, which
 * transposes either operand as it reads it: a weight kept as `[out, in]` is never transposed in memory.
 */

interface Transposes {
  readonly transposeA: boolean;
  readonly transposeB: boolean;
}

function matMul(g: Builder, a: Value, b: Value, { transposeA, transposeB }: Transposes): Value {
  checkInner(a, b, { transposeA, transposeB });
  const batchA = product(sizes(a).slice(0, -2));
  const batchB = product(sizes(b).slice(0, -2));
  if (batchB !== 1 || (batchA !== 1 && transposeA) || a.dtype !== "float32") {
    return g.matMul(transposeA ? swapLast(g, a) : a, transposeB ? swapLast(g, b) : b);
  }
  const [rowsA, columnsA] = sizes(a).slice(-2) as [number, number];
  const [rowsB, columnsB] = sizes(b).slice(-2) as [number, number];
  const rows = transposeA ? columnsA : rowsA;
  const columns = transposeB ? rowsB : columnsB;
  const flatA = a.shape.length === 2 ? a : g.reshape(a, [batchA * rowsA, columnsA]);
  const flatB = b.shape.length === 2 ? b : g.reshape(b, [rowsB, columnsB]);
  const attributes = { transA: transposeA ? 1 : 0, transB: transposeB ? 1 : 0 };
  const result = g.op("Gemm", [flatA, flatB], { dtype: a.dtype, shape: [batchA * rows, columns] }, attributes);
  const batch = broadcastShape(a.shape.slice(0, -2), b.shape.slice(0, -2));
  return batch.length === 0 ? result : g.reshape(result, [...batch, rows, columns]);
}

/** tfjs leaves this to its kernels. @throws TensorARError when the columns of `a` are not as many as the rows of `b` */
function checkInner(a: Value, b: Value, { transposeA, transposeB }: Transposes): void {
  const [columns, rows] = [sizes(a).at(transposeA ? -2 : -1), sizes(b).at(transposeB ? -1 : -2)];
  if (a.shape.length >= 2 && b.shape.length >= 2 && columns === rows) return;
  const shown = (x: Value, transposed: boolean) => `[${x.shape.join(", ")}]${transposed ? " transposed" : ""}`;
  const reason =
    a.shape.length < 2 || b.shape.length < 2
      ? "both need two axes or more"
      : `the inner sizes ${columns} and ${rows} differ`;
  throw new ShapeError(`matMul of ${shown(a, transposeA)} and ${shown(b, transposeB)}: ${reason}${at(new Error())}`);
}

function swapLast(g: Builder, x: Value): Value {
  const rank = x.shape.length;
  return g.transpose(x, [...range(rank - 2), rank - 1, rank - 2]);
}

const fused: Lowering = (g, inputs, attributes) => {
  const { bias, preluActivationWeights } = inputs;
  const result = matMul(g, need(inputs, "a"), need(inputs, "b"), attributes);
  const biased = bias ? g.binary("Add", result, bias) : result;
  return activation[attributes.activation ?? "linear"]!(g, biased, attributes.leakyreluAlpha, preluActivationWeights);
};

const einsum: Lowering = (g, inputs, { equation }) => {
  const operands = Object.values(inputs);
  const [left, right] = (equation as string).replaceAll(" ", "").split("->") as [string, string];
  const sizeOf = new Map<string, number>();
  for (const [i, letters] of left.split(",").entries()) {
    const shape = sizes(operands[i]!);
    for (const [axis, letter] of [...letters].entries()) {
      if (letters.length === shape.length && (sizeOf.get(letter) ?? shape[axis]) === shape[axis]) {
        sizeOf.set(letter, shape[axis]!);
        continue;
      }
      const given = operands.map((operand) => `[${operand.shape.join(", ")}]`).join(" and ");
      throw new ShapeError(`einsum "${equation}" of ${given}: "${letter}" has no single size${at(new Error())}`);
    }
  }
  const shape = [...right].map((letter) => sizeOf.get(letter)!);
  return g.op("Einsum", operands, { dtype: operands[0]!.dtype, shape }, { equation: `${left}->${right}` });
};

export const matmuls: Kernels = {
  BatchMatMul: (g, inputs, attributes) => matMul(g, need(inputs, "a"), need(inputs, "b"), attributes),
  Einsum: einsum,
  _FusedMatMul: fused,
};
