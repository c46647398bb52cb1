import * as tf from "@tensorflow/tfjs-core";
import type { Lowering } from "../backend";
import { type Builder, scalar, type Value } from "../graph";
import { activation } from "./elementwise";
import { pad } from "./layout";
import { inverse, type Kernels, need, product, range, sizes } from "./shared";

/**
 * Convolutions with their gradients, in two and three spatial dimensions. tfjs keeps channels last and filters as
 * [...window, in, out]; ONNX wants channels first and [out, in, ...window]. Every kernel transposes at its borders;
 * neighbours cancel.
 */

/** What a convolution does along each spatial dimension. */
export interface Geometry {
  readonly window: readonly number[];
  readonly strides: readonly number[];
  readonly dilations: readonly number[];
  readonly before: readonly number[];
  readonly after: readonly number[];
  /** Spatial sizes of the large side (the input) and of the small side (the output). */
  readonly input: readonly number[];
  readonly output: readonly number[];
  readonly channelsLast: boolean;
}

/** Puts channels first. */
export function channelsFirst(g: Builder, x: Value, { channelsLast }: Pick<Geometry, "channelsLast">): Value {
  const rank = x.shape.length;
  return channelsLast ? g.transpose(x, [0, rank - 1, ...range(rank - 2, 1)]) : x;
}
/** Puts channels back where tfjs has them. */
export function channelsBack(g: Builder, x: Value, { channelsLast }: Pick<Geometry, "channelsLast">): Value {
  const rank = x.shape.length;
  return channelsLast ? g.transpose(x, [0, ...range(rank - 2, 2), 1]) : x;
}

/** [...window, in, out] to [out, in, ...window]. */
const filterPerm = (spatial: number): number[] => [spatial + 1, spatial, ...range(spatial)];

const windowAttributes = ({ window, strides, dilations, before, after }: Geometry) => ({
  kernel_shape: [...window],
  strides: [...strides],
  dilations: [...dilations],
  pads: [...before, ...after],
});

function geometry2d(
  attributes: Conv2dAttributes,
  input: readonly number[],
  filter: readonly number[],
  depthwise = false,
): Geometry {
  const { strides, pad, dilations = 1, dimRoundingMode, dataFormat = "NHWC" } = attributes;
  const format = tf.backend_util.convertConv2DDataFormat(dataFormat);
  const info = tf.backend_util.computeConv2DInfo(
    input as [number, number, number, number],
    filter as [number, number, number, number],
    strides,
    dilations,
    pad,
    dimRoundingMode,
    depthwise,
    format,
  );
  return {
    window: [info.filterHeight, info.filterWidth],
    strides: [info.strideHeight, info.strideWidth],
    dilations: [info.dilationHeight, info.dilationWidth],
    before: [info.padInfo.top, info.padInfo.left],
    after: [info.padInfo.bottom, info.padInfo.right],
    input: [info.inHeight, info.inWidth],
    output: [info.outHeight, info.outWidth],
    channelsLast: format === "channelsLast",
  };
}

interface Conv2dAttributes {
  readonly strides: [number, number] | number;
  readonly pad: "valid" | "same" | number;
  readonly dilations?: [number, number] | number;
  readonly dimRoundingMode?: "floor" | "round" | "ceil";
  readonly dataFormat?: "NHWC" | "NCHW";
}

function geometry3d(
  attributes: { strides: number; pad: "valid" | "same"; dilations?: number },
  input: readonly number[],
  filter: readonly number[],
): Geometry {
  type Five = [number, number, number, number, number];
  const info = tf.backend_util.computeConv3DInfo(
    input as Five,
    filter as Five,
    attributes.strides,
    attributes.dilations ?? 1,
    attributes.pad,
  );
  return {
    window: [info.filterDepth, info.filterHeight, info.filterWidth],
    strides: [info.strideDepth, info.strideHeight, info.strideWidth],
    dilations: [info.dilationDepth, info.dilationHeight, info.dilationWidth],
    before: [info.padInfo.front, info.padInfo.top, info.padInfo.left],
    after: [info.padInfo.back, info.padInfo.bottom, info.padInfo.right],
    input: [info.inDepth, info.inHeight, info.inWidth],
    output: [info.outDepth, info.outHeight, info.outWidth],
    channelsLast: true,
  };
}

/** `filter` is [out, in / groups, ...window]. */
function convolve(g: Builder, x: Value, filter: Value, geometry: Geometry, groups = 1): Value {
  const first = channelsFirst(g, x, geometry);
  const shape = [x.shape[0]!, filter.shape[0]!, ...geometry.output];
  const result = g.op(
    "Conv",
    [first, filter],
    { dtype: x.dtype, shape },
    { ...windowAttributes(geometry), group: groups },
  );
  return channelsBack(g, result, geometry);
}

/** The gradient with respect to the input: a transposed convolution; `filter` is [out, in / groups, ...window]. */
export function convolveBack(g: Builder, dy: Value, filter: Value, geometry: Geometry, groups = 1): Value {
  const first = channelsFirst(g, dy, geometry);
  const { input, output, window, strides, dilations, before, after } = geometry;
  // Rows and columns at the end that no window reached.
  const rest = input.map(
    (size, i) =>
      size - ((output[i]! - 1) * strides[i]! + (window[i]! - 1) * dilations[i]! + 1 - before[i]! - after[i]!),
  );
  const shape = [dy.shape[0]!, sizes(filter)[1]! * groups, ...input];
  const attributes = { ...windowAttributes(geometry), output_padding: rest, group: groups };
  return channelsBack(g, g.op("ConvTranspose", [first, filter], { dtype: dy.dtype, shape }, attributes), geometry);
}

/**
 * The gradient with respect to the filter: a convolution of the input, batch and channels swapped, with `dy` as its filter,
 * whose dilation is the stride. Returns [out, in, ...window].
 */
function filterGradient(g: Builder, x: Value, dy: Value, geometry: Geometry, groups = 1): Value {
  const { window, strides, dilations, before, after, input, output } = geometry;
  const spatial = window.length;
  const swap = [1, 0, ...range(spatial, 2)];
  const images = g.transpose(channelsFirst(g, x, geometry), swap); // [in, N, ...]
  const filters = g.transpose(channelsFirst(g, dy, geometry), swap); // [out, N, ...]
  const [channels, batch] = sizes(images) as [number, number];
  const out = sizes(filters)[0]!;
  // With groups the channels stay beside each other in one image, each group of N planes with its own filters.
  const data = groups === 1 ? images : g.reshape(images, [1, channels * batch, ...input]);
  const seen = input.map(
    (size, i) => Math.floor((size + before[i]! + after[i]! - (output[i]! - 1) * strides[i]! - 1) / dilations[i]!) + 1,
  );
  const attributes = {
    kernel_shape: [...output],
    strides: [...dilations],
    dilations: [...strides],
    pads: [...before, ...after],
    group: groups,
  };
  const shape = [sizes(data)[0]!, out, ...seen];
  const all = g.op("Conv", [data, filters], { dtype: x.dtype, shape }, attributes);
  const result = g.slice(
    all,
    shape.map(() => 0),
    [shape[0]!, out, ...window],
  );
  return groups === 1 ? g.transpose(result, swap) : g.reshape(result, [out, 1, ...window]);
}

/**
 * The gradient of a plain 2-D filter as one matrix product, `patchesᵀ · dy`, channels last throughout: as a convolution
 * its window would be as large as the image, which runs ten times slower. Returns [window height, window width, in, out].
 */
function filterGradient2d(g: Builder, x: Value, dy: Value, geometry: Geometry): Value {
  const { window, strides, dilations, before, after, output } = geometry;
  const [height, width] = window as [number, number];
  const [batch, , , channels] = sizes(x) as [number, number, number, number];
  const [, , , out] = sizes(dy) as [number, number, number, number];
  const around = [
    [0, 0],
    [before[0]!, after[0]!],
    [before[1]!, after[1]!],
    [0, 0],
  ] as const;
  const padded = pad(g, x, around, scalar(x.dtype, 0));
  const rows = product([batch, ...output]); // N · h · w
  const taps = range(height * width).map((tap) => {
    const begin = [0, Math.floor(tap / width) * dilations[0]!, (tap % width) * dilations[1]!, 0];
    const seen = g.slice(padded, begin, [batch, ...output, channels], [1, ...strides, 1]);
    return g.reshape(seen, [rows, channels]);
  });
  const patches = taps.length === 1 ? taps[0]! : g.concat(taps, 1, [rows, taps.length * channels]);
  const type = { dtype: x.dtype, shape: [taps.length * channels, out] };
  const gradient = g.op("Gemm", [patches, g.reshape(dy, [rows, out])], type, { transA: 1, transB: 0 });
  return g.reshape(gradient, [height, width, channels, out]);
}

/**
 * The gradient with respect to the input where the stride is 1: a convolution with the filter turned around, which runs
 * faster than a transposed one. `filter` is [window height, window width, in, out].
 */
function convolveBackUnstrided(g: Builder, dy: Value, filter: Value, geometry: Geometry): Value {
  const { window, dilations, before, after, input, output } = geometry;
  const shape = sizes(filter);
  const turned = g.slice(filter, [window[0]! - 1, window[1]! - 1, 0, 0], shape, [-1, -1, 1, 1]);
  const reach = window.map((size, i) => (size - 1) * dilations[i]!);
  const mirrored: Geometry = {
    ...geometry,
    before: reach.map((size, i) => size - before[i]!),
    after: reach.map((size, i) => size - after[i]!),
    input: output,
    output: input,
  };
  return convolve(g, dy, g.transpose(turned, [2, 3, 0, 1]), mirrored);
}

const conv2d: Lowering = (g, inputs, attributes) => {
  const [x, filter] = [need(inputs, "x"), need(inputs, "filter")];
  return convolve(g, x, g.transpose(filter, filterPerm(2)), geometry2d(attributes, sizes(x), sizes(filter)));
};

const conv3d: Lowering = (g, inputs, attributes) => {
  const [x, filter] = [need(inputs, "x"), need(inputs, "filter")];
  return convolve(g, x, g.transpose(filter, filterPerm(3)), geometry3d(attributes, sizes(x), sizes(filter)));
};

/** tfjs [h, w, in, multiplier] to [in · multiplier, 1, h, w]. */
function depthwiseFilter(g: Builder, filter: Value): Value {
  const [h, w, channels, multiplier] = sizes(filter) as [number, number, number, number];
  return g.reshape(g.transpose(filter, [2, 3, 0, 1]), [channels * multiplier, 1, h, w]);
}

const depthwise: Lowering = (g, inputs, attributes) => {
  const [x, filter] = [need(inputs, "x"), need(inputs, "filter")];
  const geometry = geometry2d(attributes, sizes(x), sizes(filter), true);
  return convolve(g, x, depthwiseFilter(g, filter), geometry, sizes(filter)[2]!);
};

/** Bias and activation after a convolution. */
const fused =
  (convolution: Lowering): Lowering =>
  (g, inputs, attributes) => {
    const { bias, preluActivationWeights } = inputs;
    const result = convolution(g, inputs, attributes) as Value;
    const perChannel = (value: Value): Value =>
      attributes.dataFormat === "NCHW" && value.shape.length === 1 ? g.reshape(value, [value.shape[0]!, 1, 1]) : value;
    const biased = bias ? g.binary("Add", result, perChannel(bias)) : result;
    const slope = preluActivationWeights && perChannel(preluActivationWeights);
    return activation[attributes.activation ?? "linear"]!(g, biased, attributes.leakyreluAlpha, slope);
  };

export const convolutions: Kernels = {
  Conv2D: conv2d,
  Conv2DBackpropFilter: (g, inputs, attributes) => {
    const [x, dy] = [need(inputs, "x"), need(inputs, "dy")];
    const geometry = geometry2d(attributes, sizes(x), attributes.filterShape);
    if (geometry.channelsLast) return filterGradient2d(g, x, dy, geometry);
    return g.transpose(filterGradient(g, x, dy, geometry), inverse(filterPerm(2)));
  },
  Conv2DBackpropInput: (g, inputs, attributes) => {
    const [dy, filter] = [need(inputs, "dy"), need(inputs, "filter")];
    const geometry = geometry2d(attributes, attributes.inputShape, sizes(filter));
    const unpadded = geometry.window.some(
      (size, i) => (size - 1) * geometry.dilations[i]! < Math.max(geometry.before[i]!, geometry.after[i]!),
    );
    if (geometry.strides.every((stride) => stride === 1) && !unpadded)
      return convolveBackUnstrided(g, dy, filter, geometry);
    return convolveBack(g, dy, g.transpose(filter, filterPerm(2)), geometry);
  },
  Conv3D: conv3d,
  Conv3DBackpropFilterV2: (g, inputs, attributes) => {
    const [x, dy] = [need(inputs, "x"), need(inputs, "dy")];
    const gradient = filterGradient(g, x, dy, geometry3d(attributes, sizes(x), attributes.filterShape));
    return g.transpose(gradient, inverse(filterPerm(3)));
  },
  Conv3DBackpropInputV2: (g, inputs, attributes) => {
    const [dy, filter] = [need(inputs, "dy"), need(inputs, "filter")];
    const geometry = geometry3d(attributes, attributes.inputShape, sizes(filter));
    return convolveBack(g, dy, g.transpose(filter, filterPerm(3)), geometry);
  },
  DepthwiseConv2dNative: depthwise,
  DepthwiseConv2dNativeBackpropFilter: (g, inputs, attributes) => {
    const [x, dy] = [need(inputs, "x"), need(inputs, "dy")];
    const [h, w, channels, multiplier] = attributes.filterShape as [number, number, number, number];
    const gradient = filterGradient(g, x, dy, geometry2d(attributes, sizes(x), attributes.filterShape, true), channels);
    return g.transpose(g.reshape(gradient, [channels, multiplier, h, w]), [2, 3, 0, 1]);
  },
  DepthwiseConv2dNativeBackpropInput: (g, inputs, attributes) => {
    const [dy, filter] = [need(inputs, "dy"), need(inputs, "filter")];
    const geometry = geometry2d(attributes, attributes.inputShape, sizes(filter), true);
    return convolveBack(g, dy, depthwiseFilter(g, filter), geometry, sizes(filter)[2]!);
  },
  FusedConv2D: fused(conv2d),
  FusedDepthwiseConv2D: fused(depthwise),
};
