import type { Lowering } from "../backend";
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
  const sizeOf = new Map(
    left.split(",").flatMap((letters, i) => [...letters].map((l, axis) => [l, sizes(operands[i]!)[axis]!])),
  );
  const shape = [...right].map((letter) => sizeOf.get(letter)!);
  return g.op("Einsum", operands, { dtype: operands[0]!.dtype, shape }, { equation: `${left}->${right}` });
};

export const matmuls: Kernels = {
  BatchMatMul: (g, inputs, attributes) => matMul(g, need(inputs, "a"), need(inputs, "b"), attributes),
  Einsum: einsum,
  _FusedMatMul: fused,
};
