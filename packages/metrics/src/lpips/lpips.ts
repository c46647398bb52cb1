import { TensorARError } from "@tensorar/core";
import * as tf from "@tensorflow/tfjs-core";
import type { Params } from "../inception/inception";
import { SLICES } from "./layout";

// N images

const SHIFT = [-0.03, -0.088, -0.188];
const SCALE = [0.458, 0.448, 0.45];
const EPSILON = 1e-10;
const SMALLEST_SQUARE = 1e-30;

/**
 * Learned perceptual distance of image pairs with VGG-16, 0 for equal ones; lower is more alike. Traceable and
 * differentiable; eagerly the caller owns the result.
 * Source: Zhang et al. 2018; `tokenizer/tokenizer_image/lpips.py` of LlamaGen, which is version 0.1 of richzhang's.
 *
 * @param a [N, H, W, 3] in [-1, 1], at least 16 pixels wide
 * @param b the same
 * @returns [N]
 */
export function lpips(params: Params, a: tf.Tensor4D, b: tf.Tensor4D): tf.Tensor1D {
  return tf.tidy(() => tf.sum(lpipsLayers(params, a, b), 1));
}

/** What each of the five layers adds to {@link lpips}, [N, 5]. */
export function lpipsLayers(params: Params, a: tf.Tensor4D, b: tf.Tensor4D): tf.Tensor2D {
  if (a.shape.slice(1).join() !== b.shape.slice(1).join())
    throw new TensorARError(`lpips: images of [${a.shape}] and [${b.shape}] can't be compared; give the same sizes`);
  return tf.tidy(() => {
    const [layersA, layersB] = [vggLayers(params, a), vggLayers(params, b)];
    const distances = layersA.map((layer, i) => {
      const difference = tf.square(tf.sub(unitLength(layer), unitLength(layersB[i]!)));
      const weights = tf.reshape(parameter(params, `lin${i}.model.1.weight`), [-1]); // [C]
      return tf.mean(tf.sum(tf.mul(difference, weights), 3), [1, 2]); // [N]
    });
    return tf.stack(distances, 1) as tf.Tensor2D;
  });
}

/** Outputs of the five layers, after ReLU. */
export function vggLayers(params: Params, images: tf.Tensor4D): tf.Tensor4D[] {
  let h = tf.div(tf.sub(images, tf.tensor1d(SHIFT)), tf.tensor1d(SCALE)) as tf.Tensor4D;
  return SLICES.map((slice, i) => {
    if (i > 0) h = tf.maxPool(h, 2, 2, "valid");
    for (const [name] of slice) {
      const filter = tf.transpose(parameter<tf.Tensor4D>(params, `${name}.weight`), [2, 3, 1, 0]) as tf.Tensor4D;
      h = tf.relu(tf.add(tf.conv2d(h, filter, 1, "same"), parameter(params, `${name}.bias`)));
    }
    return h;
  });
}

/**
 * Divides the channels of each pixel by their length. The bound is far below ε, so that it changes no value; it makes the
 * gradient 0 where all channels are 0, and not NaN as in the original.
 */
function unitLength(x: tf.Tensor4D): tf.Tensor {
  const squares = tf.sum(tf.square(x), 3, true);
  return tf.div(x, tf.add(tf.sqrt(tf.maximum(squares, SMALLEST_SQUARE)), EPSILON));
}

function parameter<T extends tf.Tensor>(params: Params, name: string): T {
  const tensor = params[name];
  if (tensor === undefined)
    throw new TensorARError(`lpips: parameter "${name}" is missing; load it with loadLpips of @tensorar/metrics/node`);
  return tensor as T;
}
