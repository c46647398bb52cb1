import type { Lowering } from "../backend";
import { constant, type ElementType, fill, scalar, type Value } from "../graph";
import { type Kernels, need, positive, range, sizes } from "./shared";

/** Kernels that read or write at positions held in tensors. */

/** `indices` select along `axis`, each batch of the first `batchDims` dimensions its own. */
const gather: Lowering = (g, inputs, { axis, batchDims = 0 }) => {
  const [x, indices] = [need(inputs, "x"), g.cast(need(inputs, "indices"), "int32")];
  const along = positive(axis, x.shape.length)[0]!;
  if (batchDims === 0) return g.gather(x, indices, along);
  // GatherND wants the gathered axis right after the batch dimensions; what stood between moves behind the indices.
  const between = range(along - batchDims, batchDims);
  const after = range(x.shape.length - along - 1, along + 1);
  const moved = between.length > 0 ? g.transpose(x, [...range(batchDims), along, ...between, ...after]) : x;
  const positions = g.reshape(g.cast(indices, "int64"), [...indices.shape, 1]);
  const shape = [...indices.shape, ...moved.shape.slice(batchDims + 1)];
  const found = g.op("GatherND", [moved, positions], { dtype: x.dtype, shape }, { batch_dims: batchDims });
  if (between.length === 0) return found;
  const extra = indices.shape.length - batchDims;
  const behind = batchDims + extra;
  return g.transpose(found, [
    ...range(batchDims),
    ...range(between.length, behind),
    ...range(extra, batchDims),
    ...range(after.length, behind + between.length),
  ]);
};

const gatherNd: Lowering = (g, inputs) => {
  const [x, indices] = [need(inputs, "params"), need(inputs, "indices")];
  const depth = sizes(indices).at(-1)!;
  const shape = [...indices.shape.slice(0, -1), ...x.shape.slice(depth)];
  return g.op("GatherND", [x, g.cast(indices, "int64")], { dtype: x.dtype, shape });
};

const scatter =
  (
    into: "add" | "none",
    base: (
      inputs: Readonly<Record<string, Value>>,
      attributes: { shape: number[]; outputShape: number[] },
      dtype: ElementType,
    ) => Value,
    indices: string,
    updates: string,
  ): Lowering =>
  (g, inputs, attributes) => {
    const values = need(inputs, updates);
    const target = base(inputs, attributes, values.dtype);
    const positions = g.cast(need(inputs, indices), "int64");
    const whole = positions.shape.length === 0 ? g.reshape(positions, [1, 1]) : positions;
    return g.op("ScatterND", [target, whole, values], target, { reduction: into });
  };

/** Rows of `x` with the same segment id are added up; ids below 0 are dropped. */
const unsortedSegmentSum: Lowering = (g, inputs, { numSegments }) => {
  const [x, ids] = [need(inputs, "x"), g.cast(need(inputs, "segmentIds"), "int32")];
  const rest = x.shape.slice(ids.shape.length);
  const count = sizes(ids).reduce((a, b) => a * b, 1);
  const rows = g.reshape(x, [count, ...rest]);
  const positions = g.reshape(g.cast(ids, "int64"), [count, 1]);
  const target = fill(x.dtype, [numSegments, ...rest], 0);
  return g.op("ScatterND", [target, positions, rows], target, { reduction: "add" });
};

/** How many entries of each sorted row are below the value, or not above it for side "right". */
const searchSorted: Lowering = (g, inputs, { side }) => {
  const [sorted, values] = [need(inputs, "sortedSequence"), need(inputs, "values")];
  const [batch, length] = sizes(sorted) as [number, number];
  const [, count] = sizes(values) as [number, number];
  const op = side === "left" ? "Less" : "LessOrEqual";
  const hit = g.compare(op, g.reshape(sorted, [batch, 1, length]), g.reshape(values, [batch, count, 1]));
  return g.reduce("ReduceSum", g.cast(hit, "int32"), [2]);
};

const denseBincount: Lowering = (g, inputs, { size, binaryOutput }) => {
  const [x, weights] = [need(inputs, "x"), need(inputs, "weights")];
  const classes = constant("int32", [size], { kind: "range", start: 0, step: 1 });
  const hit = g.compare("Equal", g.reshape(g.cast(x, "int32"), [...x.shape, 1]), classes);
  const axis = x.shape.length - 1;
  if (binaryOutput) return g.cast(g.reduce("ReduceMax", g.cast(hit, "int32"), [axis]), "float32");
  const dtype = sizes(weights).includes(0) ? "float32" : weights.dtype;
  const amount = sizes(weights).includes(0) ? scalar(dtype, 1) : g.reshape(weights, [...weights.shape, 1]);
  return g.reduce("ReduceSum", g.where(hit, amount, scalar(dtype, 0)), [axis]);
};

export const indexing: Kernels = {
  Bincount: denseBincount,
  DenseBincount: denseBincount,
  GatherNd: gatherNd,
  GatherV2: gather,
  ScatterNd: scatter("add", (_, { shape }, dtype) => fill(dtype, shape, 0), "indices", "updates"),
  SearchSorted: searchSorted,
  SparseToDense: scatterSparse,
  TensorScatterUpdate: scatter("none", (inputs) => need(inputs, "tensor"), "indices", "updates"),
  UnsortedSegmentSum: unsortedSegmentSum,
};

function scatterSparse(...[g, inputs, { outputShape }]: Parameters<Lowering>): Value {
  const [indices, values, otherwise] = [
    need(inputs, "sparseIndices"),
    need(inputs, "sparseValues"),
    need(inputs, "defaultValue"),
  ];
  const target = g.expand(otherwise, outputShape);
  const count = indices.shape.length === 0 ? 1 : sizes(indices)[0]!;
  const positions = g.reshape(g.cast(indices, "int64"), [count, indices.shape.length === 2 ? sizes(indices)[1]! : 1]);
  const updates = values.shape.length === 0 ? g.expand(values, [count]) : values;
  return g.op("ScatterND", [target, positions, updates], target);
}
