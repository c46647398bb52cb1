import * as tf from "@tensorflow/tfjs-core";
import type { Layer, ResidualBlock } from "./layers";
import { adaptiveNorm } from "./ops/adaptive-norm";
import { attention } from "./ops/attention";
import { averagePool } from "./ops/average-pool";
import { conv, pointwise } from "./ops/conv";
import { depthToSpace } from "./ops/depth-to-space";
import { groupNorm } from "./ops/group-norm";
import { swish } from "./ops/swish";
import { upsample } from "./ops/upsample";
import type { Params } from "./parameters";

/** Runs layers one after another on `[N, H, W, C]`. */
export function runLayers(params: Params, layers: readonly Layer[], x: tf.Tensor4D): tf.Tensor4D {
  return layers.reduce((h, layer) => runLayer(params, layer, h, x), x);
}

/** @param style what the network was given, for the layers that are steered by it */
export function runLayer(params: Params, layer: Layer, x: tf.Tensor4D, style = x): tf.Tensor4D {
  switch (layer.kind) {
    case "conv":
      return layer.size === 1
        ? pointwise(params, layer.name, x, layer.bias)
        : conv(params, layer.name, x, { bias: layer.bias });
    case "residual":
      return residual(params, layer, x);
    case "attention":
      return attention(params, layer.name, x);
    case "downsample":
      return conv(params, layer.name, x, { halve: layer.pad });
    case "averagePool":
      return averagePool(x);
    case "upsample":
      return conv(params, layer.name, upsample(x));
    case "depthToSpace":
      return depthToSpace(conv(params, layer.name, x));
    case "adaptiveNorm":
      return adaptiveNorm(params, layer.name, x, style);
    case "normSwish":
      return normSwish(params, layer.name, x);
  }
}

const normSwish = (params: Params, name: string, x: tf.Tensor4D): tf.Tensor4D => swish(groupNorm(params, name, x));

/** `[N, H, W, from]` → `[N, H, W, to]`; a change of width also passes the shortcut through a 1×1 convolution. */
function residual(params: Params, layer: ResidualBlock, x: tf.Tensor4D): tf.Tensor4D {
  const { name, bias } = layer;
  const h = conv(params, `${name}.conv1`, normSwish(params, `${name}.norm1`, x), { bias });
  const y = conv(params, `${name}.conv2`, normSwish(params, `${name}.norm2`, h), { bias });
  if (layer.from === layer.to) return tf.add(x, y);
  return tf.add(pointwise(params, `${name}.nin_shortcut`, layer.shortcut === "input" ? x : y, bias), y);
}
