import * as tf from "@tensorflow/tfjs-core";
import type { Lowering } from "../backend";
import { constant, dims, fill, scalar, type Value } from "../graph";
import { channelsBack, channelsFirst, convolveBack, type Geometry } from "./conv";
import { type Kernels, need, product, range, sizes } from "./shared";

/** Pooling and resizing with their gradients, and batch normalisation. */

interface PoolAttributes {
  readonly filterSize: number | [number, number];
  readonly strides: number | [number, number];
  readonly pad: "valid" | "same" | number;
  readonly dimRoundingMode?: "floor" | "round" | "ceil";
  readonly dataFormat?: string;
}

function poolGeometry(
  input: readonly number[],
  { filterSize, strides, pad, dimRoundingMode, dataFormat }: PoolAttributes,
): Geometry {
  if (input.length === 5)
    return poolGeometry3d(input, { filterSize, strides, pad, ...(dimRoundingMode && { dimRoundingMode }) });
  const info = tf.backend_util.computePool2DInfo(
    input as [number, number, number, number],
    filterSize,
    strides,
    1,
    pad,
    dimRoundingMode,
  );
  return {
    window: [info.filterHeight, info.filterWidth],
    strides: [info.strideHeight, info.strideWidth],
    dilations: [1, 1],
    before: [info.padInfo.top, info.padInfo.left],
    after: [info.padInfo.bottom, info.padInfo.right],
    input: [info.inHeight, info.inWidth],
    output: [info.outHeight, info.outWidth],
    channelsLast: dataFormat !== "NCHW",
  };
}

function poolGeometry3d(
  input: readonly number[],
  { filterSize, strides, pad, dimRoundingMode }: PoolAttributes,
): Geometry {
  type Five = [number, number, number, number, number];
  const info = tf.backend_util.computePool3DInfo(
    input as Five,
    filterSize as number,
    strides as number,
    1,
    pad,
    dimRoundingMode,
  );
  return {
    window: [info.filterDepth, info.filterHeight, info.filterWidth],
    strides: [info.strideDepth, info.strideHeight, info.strideWidth],
    dilations: [1, 1, 1],
    before: [info.padInfo.front, info.padInfo.top, info.padInfo.left],
    after: [info.padInfo.back, info.padInfo.bottom, info.padInfo.right],
    input: [info.inDepth, info.inHeight, info.inWidth],
    output: [info.outDepth, info.outHeight, info.outWidth],
    channelsLast: true,
  };
}

const poolWindow = ({ window, strides, before, after }: Geometry) => ({
  kernel_shape: [...window],
  strides: [...strides],
  pads: [...before, ...after],
});

const pool =
  (op: "MaxPool" | "AveragePool"): Lowering =>
  (g, inputs, attributes) => {
    const x = need(inputs, "x");
    const geometry = poolGeometry(sizes(x), attributes);
    const first = channelsFirst(g, x, geometry);
    const type = { dtype: x.dtype, shape: [...first.shape.slice(0, 2), ...geometry.output] };
    return channelsBack(g, g.op(op, [first], type, poolWindow(geometry)), geometry);
  };

/** Every gradient goes to the place of the largest element of its window, as `MaxPool` reports it. */
const maxPoolGrad: Lowering = (g, inputs, attributes) => {
  const [dy, x] = [need(inputs, "dy"), need(inputs, "input")];
  const geometry = poolGeometry(sizes(x), attributes);
  const first = channelsFirst(g, x, geometry);
  const shape = [...first.shape.slice(0, 2), ...geometry.output];
  const [, places] = g.emit(
    "MaxPool",
    [first],
    [
      { dtype: x.dtype, shape },
      { dtype: "int64", shape },
    ],
    poolWindow(geometry),
  );
  const count = product(shape as number[]);
  const zeros = fill(x.dtype, [product(sizes(x))], 0);
  const updates = g.reshape(channelsFirst(g, dy, geometry), [count]);
  const flat = g.op("ScatterElements", [zeros, g.reshape(places!, [count]), updates], zeros, {
    axis: 0,
    reduction: "add",
  });
  return channelsBack(g, g.reshape(flat, first.shape), geometry);
};

/** Every gradient is shared by the elements of its window that are not padding: a transposed convolution with ones. */
const averagePoolGrad: Lowering = (g, inputs, attributes) => {
  const [dy, x] = [need(inputs, "dy"), need(inputs, "input")];
  const geometry = poolGeometry(sizes(x), attributes);
  const channels = sizes(x).at(-1)!;
  const fractions = g.binary("Mul", dy, reciprocalCounts(geometry));
  return convolveBack(g, fractions, fill(x.dtype, [channels, 1, ...geometry.window], 1), geometry, channels);
};

/** One over the number of real elements in each window, [...output, 1]. */
function reciprocalCounts({ window, strides, before, input, output }: Geometry): Value {
  let counts = [1];
  for (const [axis, length] of output.entries()) {
    const along = range(length).map((i) => {
      const start = i * strides[axis]! - before[axis]!;
      return Math.min(start + window[axis]!, input[axis]!) - Math.max(start, 0);
    });
    counts = counts.flatMap((count) => along.map((n) => count * n));
  }
  if (counts.every((count) => count === counts[0])) return scalar("float32", 1 / counts[0]!);
  return constant("float32", [...output, 1], { kind: "data", data: Float32Array.from(counts, (count) => 1 / count) });
}

interface ResizeAttributes {
  readonly size: [number, number];
  readonly alignCorners: boolean;
  readonly halfPixelCenters: boolean;
}

const resize =
  (mode: "linear" | "nearest"): Lowering =>
  (g, inputs, { size, alignCorners, halfPixelCenters }: ResizeAttributes) => {
    const images = need(inputs, "images");
    const x = g.transpose(g.cast(images, "float32"), [0, 3, 1, 2]);
    // All four sizes: with the attribute `axes`, ONNX Runtime 1.30 fails when it moves a transposition across.
    const shape = [...x.shape.slice(0, 2), ...size];
    const attributes = {
      mode,
      coordinate_transformation_mode: alignCorners ? "align_corners" : halfPixelCenters ? "half_pixel" : "asymmetric",
      // tfjs rounds when it aligns corners and takes the floor otherwise; with half pixels, floor(x + 1/2) of ONNX's x.
      ...(mode === "nearest" && { nearest_mode: alignCorners || halfPixelCenters ? "round_prefer_ceil" : "floor" }),
    };
    const result = g.op("Resize", [x, undefined, undefined, dims(shape)], { dtype: "float32", shape }, attributes);
    return g.transpose(result, [0, 2, 3, 1]);
  };

/** Resizing is linear in each direction: its gradient multiplies by the two transposed matrices. */
const resizeGrad =
  (weights: typeof linearWeights): Lowering =>
  (g, inputs, attributes: ResizeAttributes) => {
    const [images, dy] = [need(inputs, "images"), need(inputs, "dy")];
    const [n, h, w, c] = sizes(images) as [number, number, number, number];
    const [, oh, ow] = sizes(dy) as [number, number, number, number];
    const rows = g.matMul(weights(h, oh, attributes), g.reshape(dy, [n, oh, ow * c])); // [n, h, ow · c]
    const columns = g.matMul(weights(w, ow, attributes), g.reshape(rows, [n * h, ow, c])); // [n · h, w, c]
    return g.reshape(columns, [n, h, w, c]);
  };

/** Where in the input output position `i` lies. */
function sourcePosition(
  i: number,
  from: number,
  to: number,
  { alignCorners, halfPixelCenters }: ResizeAttributes,
): number {
  const scale = alignCorners && to > 1 ? (from - 1) / (to - 1) : from / to;
  return halfPixelCenters ? scale * (i + 0.5) - 0.5 : scale * i;
}

/** [from, to]: how much of input row r is in output row i. */
function linearWeights(from: number, to: number, attributes: ResizeAttributes): Value {
  const data = new Float32Array(from * to);
  for (let i = 0; i < to; i++) {
    const position = Math.min(Math.max(sourcePosition(i, from, to, attributes), 0), from - 1);
    const low = Math.floor(position);
    data[low * to + i]! += 1 - (position - low);
    data[Math.min(low + 1, from - 1) * to + i]! += position - low;
  }
  return constant("float32", [from, to], { kind: "data", data });
}

function nearestWeights(from: number, to: number, attributes: ResizeAttributes): Value {
  const data = new Float32Array(from * to);
  for (let i = 0; i < to; i++) {
    const position = sourcePosition(i, from, to, attributes);
    const rounded =
      attributes.alignCorners || attributes.halfPixelCenters ? Math.floor(position + 0.5) : Math.floor(position);
    data[Math.min(Math.max(rounded, 0), from - 1) * to + i] = 1;
  }
  return constant("float32", [from, to], { kind: "data", data });
}

const batchNorm: Lowering = (g, inputs, { varianceEpsilon }) => {
  const [x, mean, variance] = [need(inputs, "x"), need(inputs, "mean"), need(inputs, "variance")];
  const { scale, offset } = inputs;
  const std = g.unary("Sqrt", g.binary("Add", variance, scalar("float32", varianceEpsilon)));
  const gain = g.binary("Div", scale ?? scalar("float32", 1), std);
  const normed = g.binary("Mul", g.binary("Sub", x, mean), gain);
  return offset ? g.binary("Add", normed, offset) : normed;
};

export const images: Kernels = {
  AvgPool: pool("AveragePool"),
  AvgPool3D: pool("AveragePool"),
  AvgPool3DGrad: averagePoolGrad,
  AvgPoolGrad: averagePoolGrad,
  FusedBatchNorm: batchNorm,
  MaxPool: pool("MaxPool"),
  MaxPool3D: pool("MaxPool"),
  MaxPool3DGrad: maxPoolGrad,
  MaxPoolGrad: maxPoolGrad,
  ResizeBilinear: resize("linear"),
  ResizeBilinearGrad: resizeGrad(linearWeights),
  ResizeNearestNeighbor: resize("nearest"),
  ResizeNearestNeighborGrad: resizeGrad(nearestWeights),
};
