import { ShapeError } from "@tensorar/core";
import * as tf from "@tensorflow/tfjs-core";
import type { Lowering } from "../backend";
import { at } from "../callsite";
import { type Builder, constant, dims, fill, scalar, type Value } from "../graph";
import { type Kernels, need, positive, range, sizes } from "./shared";

/** Kernels that make tensors, or move elements without computing. */

/** tfjs leaves this to its kernels. @throws ShapeError when the tensors differ elsewhere than along the axis */
function checkAlike(op: string, xs: readonly Value[], along: number | undefined): void {
  const [first] = xs.map(sizes);
  const alike = xs.every(
    (x) => x.shape.length === first!.length && x.shape.every((size, i) => i === along || size === first![i]),
  );
  if (alike) return;
  const given = xs.map((x) => `[${x.shape.join(", ")}]`).join(", ");
  throw new ShapeError(
    `${op} of ${given}: sizes differ${along === undefined ? "" : ` besides those of axis ${along}`}${at(new Error())}`,
  );
}

const concat: Lowering = (g, inputs, { axis }) => {
  const rank = sizes(need(inputs, "0")).length;
  const along = positive(axis, rank)[0]!;
  checkAlike("concat", Object.values(inputs), along);
  const xs = Object.values(inputs).filter((x) => !sizes(x).includes(0));
  if (xs.length === 0) return need(inputs, "0");
  const total = xs.reduce((sum, x) => sum + sizes(x)[along]!, 0);
  return xs.length === 1
    ? xs[0]!
    : g.concat(
        xs,
        along,
        sizes(xs[0]!).map((size, i) => (i === along ? total : size)),
      );
};

const pack: Lowering = (g, inputs, { axis }) => {
  const xs = Object.values(inputs);
  checkAlike("stack", xs, undefined);
  const shape = sizes(xs[0]!);
  const along = positive(axis, shape.length + 1)[0]!;
  const parts = xs.map((x) => g.reshape(x, shape.toSpliced(along, 0, 1)));
  return parts.length === 1 ? parts[0]! : g.concat(parts, along, shape.toSpliced(along, 0, parts.length));
};

function split(g: Builder, x: Value, axis: number, parts: readonly number[]): readonly Value[] {
  if (parts.length === 1) return [x];
  const outputs = parts.map((part) => ({ dtype: x.dtype, shape: sizes(x).with(axis, part) }));
  return g.emit("Split", [x, dims(parts)], outputs, { axis });
}

/** A tensor for helpers of tfjs, which read its shape alone. */
const infoOf = (x: Value): tf.TensorInfo => ({ dataId: {}, shape: [...sizes(x)], dtype: "float32" });

const splitV: Lowering = (g, inputs, { numOrSizeSplits, axis }) => {
  const x = need(inputs, "x");
  const along = positive(axis, x.shape.length)[0]!;
  return split(g, x, along, tf.backend_util.prepareSplitSize(infoOf(x), numOrSizeSplits, along));
};

const unpack: Lowering = (g, inputs, { axis }) => {
  const x = need(inputs, "value");
  const along = positive(axis, x.shape.length)[0]!;
  const parts = split(g, x, along, new Array<number>(sizes(x)[along]!).fill(1));
  return parts.map((part) => g.reshape(part, sizes(part).toSpliced(along, 1)));
};

const slice: Lowering = (g, inputs, { begin, size }) => {
  const x = need(inputs, "x");
  const [starts, lengths] = tf.slice_util.parseSliceParams(infoOf(x), begin, size);
  return g.slice(x, starts!, lengths!);
};

const stridedSlice: Lowering = (g, inputs, attributes) => {
  const x = need(inputs, "x");
  const { begin, end, strides, beginMask, endMask, ellipsisMask, newAxisMask, shrinkAxisMask } = attributes;
  const info = tf.slice_util.sliceInfo(
    sizes(x) as number[],
    begin,
    end,
    strides,
    beginMask,
    endMask,
    ellipsisMask,
    newAxisMask,
    shrinkAxisMask,
  );
  const lengths = tf.slice_util.computeOutShape(info.begin, info.end, info.strides);
  return g.reshape(g.slice(x, info.begin, lengths, info.strides), info.finalShape);
};

const reverse: Lowering = (g, inputs, { dims: axes }) => {
  const x = need(inputs, "x");
  const reversed = positive(axes, x.shape.length);
  const shape = sizes(x);
  const flips = (axis: number): boolean => reversed.includes(axis);
  return g.slice(
    x,
    shape.map((size, axis) => (flips(axis) ? size - 1 : 0)),
    shape,
    shape.map((_, axis) => (flips(axis) ? -1 : 1)),
  );
};

export function pad(
  g: Builder,
  x: Value,
  paddings: readonly (readonly [number, number])[],
  value: Value,
  mode = "constant",
): Value {
  if (paddings.every(([before, after]) => before === 0 && after === 0)) return x;
  const pads = [...paddings.map(([before]) => before), ...paddings.map(([, after]) => after)];
  const shape = sizes(x).map((size, i) => size + paddings[i]![0] + paddings[i]![1]);
  return g.op(
    "Pad",
    mode === "constant" ? [x, dims(pads), value] : [x, dims(pads)],
    { dtype: x.dtype, shape },
    { mode },
  );
}

/** ONNX has "reflect"; "symmetric" repeats the edge and is a gather with mirrored indices. */
const mirrorPad: Lowering = (g, inputs, { paddings, mode }) => {
  const x = need(inputs, "x");
  if (mode === "reflect") return pad(g, x, paddings, scalar(x.dtype, 0), "reflect");
  let result = x;
  for (const [axis, [before, after]] of (paddings as [number, number][]).entries()) {
    if (before === 0 && after === 0) continue;
    const size = sizes(x)[axis]!;
    const mirror = (i: number): number => (i < 0 ? -i - 1 : i >= size ? 2 * size - i - 1 : i);
    const indices = Int32Array.from(range(before + size + after), (i) => mirror(i - before));
    result = g.gather(result, constant("int32", [indices.length], { kind: "data", data: indices }), axis);
  }
  return result;
};

/** Repeating a dimension of size 1 is broadcasting. */
const tile: Lowering = (g, inputs, { reps }) => {
  const x = need(inputs, "x");
  const counts = reps as number[];
  const shape = sizes(x).map((size, i) => size * counts[i]!);
  if (counts.every((count, i) => count === 1 || sizes(x)[i] === 1)) return g.expand(x, shape);
  return g.op("Tile", [x, dims(counts)], { dtype: x.dtype, shape });
};

const rangeOf: Lowering = (_, __, { start, stop, step, dtype }) => {
  const length =
    start === stop || (start < stop && step < 0) || (stop < start && step > 1)
      ? 0
      : Math.abs(Math.ceil((stop - start) / step));
  const signed = stop < start && step === 1 ? -1 : step;
  return constant(dtype, [length], { kind: "range", start, step: signed });
};

const linSpace: Lowering = (_, __, { start, stop, num }) => {
  const data = Float32Array.from(range(num), (i) => (num === 1 ? start : start + ((stop - start) / (num - 1)) * i));
  return constant("float32", [num], { kind: "data", data });
};

const oneHot: Lowering = (g, inputs, { depth, onValue, offValue, dtype }) => {
  const indices = need(inputs, "indices");
  const classes = constant("int32", [depth], { kind: "range", start: 0, step: 1 });
  const hit = g.compare("Equal", g.reshape(g.cast(indices, "int32"), [...indices.shape, 1]), classes);
  return g.where(hit, scalar(dtype, onValue), scalar(dtype, offValue));
};

const diag: Lowering = (g, inputs) => {
  const x = need(inputs, "x");
  const size = sizes(x).reduce((a, b) => a * b, 1);
  const positions = constant("int32", [size], { kind: "range", start: 0, step: 1 });
  const same = g.compare("Equal", g.reshape(positions, [size, 1]), positions);
  return g.reshape(g.where(same, g.reshape(x, [size]), scalar(x.dtype, 0)), [...x.shape, ...x.shape]);
};

const blockUtil = tf.backend_util;
const batchToSpace: Lowering = (g, inputs, { blockShape, crops }) => {
  const x = need(inputs, "x");
  const block = (blockShape as number[]).reduce((a, b) => a * b, 1);
  const shape = sizes(x) as number[];
  const split = g.reshape(x, blockUtil.getReshaped(shape, blockShape, block));
  const moved = g.transpose(split, blockUtil.getPermuted(split.shape.length, blockShape.length));
  const merged = g.reshape(moved, blockUtil.getReshapedPermuted(shape, blockShape, block));
  const begin = blockUtil.getSliceBeginCoords(crops, blockShape.length);
  return g.slice(merged, begin, blockUtil.getSliceSize(sizes(merged) as number[], crops, blockShape.length));
};

const spaceToBatch: Lowering = (g, inputs, { blockShape, paddings }) => {
  const x = need(inputs, "x");
  const block = (blockShape as number[]).reduce((a, b) => a * b, 1);
  const whole = [[0, 0], ...paddings, ...range(x.shape.length - 1 - blockShape.length).map(() => [0, 0])] as [
    number,
    number,
  ][];
  const padded = pad(g, x, whole, scalar(x.dtype, 0));
  const shape = sizes(padded) as number[];
  const split = g.reshape(padded, blockUtil.getReshaped(shape, blockShape, block, false));
  const moved = g.transpose(split, blockUtil.getPermuted(split.shape.length, blockShape.length, false));
  return g.reshape(moved, blockUtil.getReshapedPermuted(shape, blockShape, block, false));
};

const depthToSpace: Lowering = (g, inputs, { blockSize, dataFormat }) => {
  const x = need(inputs, "x");
  const channelsFirst = dataFormat === "NHWC" ? g.transpose(x, [0, 3, 1, 2]) : x;
  const [n, c, h, w] = sizes(channelsFirst) as [number, number, number, number];
  const shape = [n, c / blockSize ** 2, h * blockSize, w * blockSize];
  const attributes = { blocksize: blockSize, mode: "DCR" };
  const result = g.op("DepthToSpace", [channelsFirst], { dtype: x.dtype, shape }, attributes);
  return dataFormat === "NHWC" ? g.transpose(result, [0, 2, 3, 1]) : result;
};

export const layouts: Kernels = {
  BatchToSpaceND: batchToSpace,
  Concat: concat,
  DepthToSpace: depthToSpace,
  Diag: diag,
  ExpandDims: (g, inputs, { dim }) => {
    const x = need(inputs, "input");
    return g.reshape(x, x.shape.toSpliced(positive(dim, x.shape.length + 1)[0]!, 0, 1));
  },
  Fill: (_, __, { shape, value, dtype }) => fill(dtype ?? "float32", shape, value),
  LinSpace: linSpace,
  MirrorPad: mirrorPad,
  OneHot: oneHot,
  OnesLike: (_, inputs) => fill(need(inputs, "x").dtype, need(inputs, "x").shape, 1),
  Pack: pack,
  PadV2: (g, inputs, { paddings, constantValue }) =>
    pad(g, need(inputs, "x"), paddings, scalar(need(inputs, "x").dtype, constantValue)),
  Range: rangeOf,
  Reshape: (g, inputs, { shape }) => {
    const x = need(inputs, "x");
    const size = sizes(x).reduce((a, b) => a * b, 1);
    return g.reshape(x, tf.util.inferFromImplicitShape(shape, size));
  },
  Reverse: reverse,
  Slice: slice,
  SpaceToBatchND: spaceToBatch,
  SplitV: splitV,
  StridedSlice: stridedSlice,
  Tile: tile,
  Transpose: (g, inputs, { perm }) => g.transpose(need(inputs, "x"), perm),
  Unpack: unpack,
  ZerosLike: (_, inputs) => fill(need(inputs, "x").dtype, need(inputs, "x").shape, 0),
};
