import type { Lowering } from "../backend";
import { type Builder, dims, scalar, type Value } from "../graph";
import { type Kernels, need, positive, range, sizes } from "./shared";

/** Kernels that reduce or scan along axes. */

const axesOf = (x: Value, axis: number | readonly number[] | undefined): number[] =>
  axis === undefined || axis === null ? range(x.shape.length) : positive(axis, x.shape.length);

const reduction =
  (op: string): Lowering =>
  (g, inputs, { axis, reductionIndices, keepDims }) => {
    const x = need(inputs, "x");
    const axes = axesOf(x, axis ?? reductionIndices); // kernel "Max" has its own name for the axes
    return axes.length === 0 ? x : g.reduce(op, x, axes, keepDims);
  };

/** Booleans are counted as int32. */
const counting =
  (op: string): Lowering =>
  (g, inputs, attributes) => {
    const x = need(inputs, "x");
    return reduction(op)(g, { x: x.dtype === "bool" ? g.cast(x, "int32") : x }, attributes);
  };

/** All is the minimum, any the maximum, of booleans counted as 0 and 1. */
const quantifier =
  (op: string): Lowering =>
  (g, inputs, attributes) =>
    g.cast(reduction(op)(g, { x: g.cast(need(inputs, "x"), "int32") }, attributes) as Value, "bool");

const mean: Lowering = (g, inputs, attributes) =>
  reduction("ReduceMean")(g, { x: g.cast(need(inputs, "x"), "float32") }, attributes);

const argument =
  (op: string): Lowering =>
  (g, inputs, { axis }) => {
    const x = need(inputs, "x");
    const [along = 0] = positive(axis, x.shape.length);
    const shape = x.shape.filter((_, i) => i !== along);
    const numeric = x.dtype === "bool" ? g.cast(x, "int32") : x;
    return g.cast(g.op(op, [numeric], { dtype: "int64", shape }, { axis: along, keepdims: 0 }), "int32");
  };

const cumsum: Lowering = (g, inputs, { axis, exclusive, reverse }) => {
  const x = need(inputs, "x");
  const along = scalar("int32", positive(axis, x.shape.length)[0]!);
  return g.op("CumSum", [x, along], x, { exclusive: exclusive ? 1 : 0, reverse: reverse ? 1 : 0 });
};

/** Products of runs of 1, 2, 4, … elements (Hillis and Steele): ONNX has no cumulative product. */
const cumprod: Lowering = (g, inputs, { axis, exclusive, reverse }) => {
  let x = need(inputs, "x");
  const along = positive(axis, x.shape.length)[0]!;
  const length = sizes(x)[along]!;
  if (exclusive) x = shift(g, x, along, 1, reverse);
  for (let run = 1; run < length; run *= 2) x = g.binary("Mul", x, shift(g, x, along, run, reverse));
  return x;
};

/** Moves elements by `by` places along an axis and puts ones where they left. */
function shift(g: Builder, x: Value, axis: number, by: number, towardsStart: boolean): Value {
  const shape = sizes(x);
  const begin = shape.map((_, i) => (i === axis && towardsStart ? by : 0));
  const kept = g.slice(
    x,
    begin,
    shape.map((size, i) => (i === axis ? size - by : size)),
  );
  const pads = [
    shape.map((_, i) => (i === axis && !towardsStart ? by : 0)),
    shape.map((_, i) => (i === axis && towardsStart ? by : 0)),
  ];
  return g.op("Pad", [kept, dims(pads.flat()), scalar(x.dtype, 1)], x);
}

/** ONNX sorts along any axis; tfjs along the last. */
const topK: Lowering = (g, inputs, { k }) => {
  const x = need(inputs, "x");
  const shape = [...x.shape.slice(0, -1), k as number];
  const [values, indices] = g.emit(
    "TopK",
    [x, dims([k])],
    [
      { dtype: x.dtype, shape },
      { dtype: "int64", shape },
    ],
  );
  return [values!, g.cast(indices!, "int32")];
};

export const reductions: Kernels = {
  All: quantifier("ReduceMin"),
  Any: quantifier("ReduceMax"),
  ArgMax: argument("ArgMax"),
  ArgMin: argument("ArgMin"),
  Cumprod: cumprod,
  Cumsum: cumsum,
  Max: counting("ReduceMax"),
  Mean: mean,
  Min: counting("ReduceMin"),
  Prod: counting("ReduceProd"),
  Softmax: (g, inputs) => g.unary("Softmax", need(inputs, "logits"), { axis: -1 }),
  Sum: counting("ReduceSum"),
  TopK: topK,
};
