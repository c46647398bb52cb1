import type { Lowering } from "../backend";
import type { Builder, Value } from "../graph";
import { activation } from "./elementwise";
import { type Kernels, need, range, sizes } from "./shared";

/**
 * Matrix products. tfjs brings every product to rank 3, `[batch, rows, columns]`. What is really two-dimensional, a batch of
 * one or a batch against one shared matrix, becomes a `Gemm`, which transposes either operand as it reads it.
 */

interface Transposes {
  readonly transposeA: boolean;
  readonly transposeB: boolean;
}

function product(g: Builder, a: Value, b: Value, { transposeA, transposeB }: Transposes): Value {
  const [batchA, batchB] = [sizes(a)[0]!, sizes(b)[0]!];
  if (batchB !== 1 || (batchA !== 1 && transposeA) || a.dtype !== "float32") {
    return g.matMul(transposeA ? swapLast(g, a) : a, transposeB ? swapLast(g, b) : b);
  }
  const [rowsA, columnsA] = [sizes(a)[1]!, sizes(a)[2]!];
  const [rowsB, columnsB] = [sizes(b)[1]!, sizes(b)[2]!];
  const rows = transposeA ? columnsA : rowsA;
  const columns = transposeB ? rowsB : columnsB;
  const flatA = g.reshape(a, [batchA * rowsA, columnsA]);
  const flatB = g.reshape(b, [rowsB, columnsB]);
  const attributes = { transA: transposeA ? 1 : 0, transB: transposeB ? 1 : 0 };
  const result = g.op("Gemm", [flatA, flatB], { dtype: a.dtype, shape: [batchA * rows, columns] }, attributes);
  return g.reshape(result, [batchA, rows, columns]);
}

function swapLast(g: Builder, x: Value): Value {
  const rank = x.shape.length;
  return g.transpose(x, [...range(rank - 2), rank - 1, rank - 2]);
}

const fused: Lowering = (g, inputs, attributes) => {
  const { bias, preluActivationWeights } = inputs;
  const result = product(g, need(inputs, "a"), need(inputs, "b"), attributes);
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
  BatchMatMul: (g, inputs, attributes) => product(g, need(inputs, "a"), need(inputs, "b"), attributes),
  Einsum: einsum,
  _FusedMatMul: fused,
};
