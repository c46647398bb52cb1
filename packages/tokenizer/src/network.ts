import * as tf from "@tensorflow/tfjs-core";
import type { Layer } from "./layers";
import { attention } from "./ops/attention";
import { conv, pointwise } from "./ops/conv";
import { groupNorm } from "./ops/group-norm";
import { swish } from "./ops/swish";
import { upsample } from "./ops/upsample";
import type { Params } from "./parameters";

/** Runs layers one after another on `[N, H, W, C]`. */
export function runLayers(params: Params, layers: readonly Layer[], x: tf.Tensor4D): tf.Tensor4D {
  return layers.reduce((h, layer) => runLayer(params, layer, h), x);
}

export function runLayer(params: Params, layer: Layer, x: tf.Tensor4D): tf.Tensor4D {
  const { name } = layer;
  switch (layer.kind) {
    case "conv":
      return layer.size === 1 ? pointwise(params, name, x) : conv(params, name, x);
    case "residual":
      return residual(params, name, x, layer.from !== layer.to);
    case "attention":
      return attention(params, name, x);
    case "downsample":
      return conv(params, name, x, 2);
    case "upsample":
      return conv(params, name, upsample(x));
    case "normSwish":
      return normSwish(params, name, x);
  }
}

const normSwish = (params: Params, name: string, x: tf.Tensor4D): tf.Tensor4D => swish(groupNorm(params, name, x));

/** `[N, H, W, from]` → `[N, H, W, to]`; a change of width also passes the shortcut through a 1×1 convolution. */
function residual(params: Params, name: string, x: tf.Tensor4D, changesWidth: boolean): tf.Tensor4D {
  const h = conv(params, `${name}.conv1`, normSwish(params, `${name}.norm1`, x));
  const y = conv(params, `${name}.conv2`, normSwish(params, `${name}.norm2`, h));
  return tf.add(changesWidth ? pointwise(params, `${name}.nin_shortcut`, x) : x, y);
}
