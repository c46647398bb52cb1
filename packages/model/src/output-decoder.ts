import * as tf from "@tensorflow/tfjs-core";
import type { ModuleSizes } from "./modules";
import { linear } from "./ops/linear";
import { rmsNorm } from "./ops/rms-norm";
import { silu, swiglu } from "./ops/swiglu";
import { type Initial, type ParameterShapes, type Params, parameter } from "./parameters";

// N positions of all rows · k window · D width · M hidden width of the gated structure

const PREFIX = "tensorar.output";
const EPSILON = 1e-5;

const layerName = (layer: number, name: string) => `${PREFIX}.layers.${layer}.${name}.weight`;

/** M of the gated structure: 5/3 · D rounded down to a multiple of 8, so that a layer has at most 5 · D² weights. */
const gatedWidth = (width: number): number => Math.max(8, Math.floor((5 * width) / 3 / 8) * 8);

export function outputDecoderShapes({ width, windowSize, depth, structure }: ModuleSizes): ParameterShapes {
  const shapes: Record<string, number[]> = {};
  for (let layer = 0; layer < depth; layer++) {
    shapes[layerName(layer, "norm")] = [width];
    if (structure === "maps") {
      shapes[layerName(layer, "maps")] = [windowSize, width, width];
      shapes[layerName(layer, "out")] = [width, width];
    } else {
      shapes[layerName(layer, "query")] = [windowSize, width];
      shapes[layerName(layer, "w1")] = [gatedWidth(width), width];
      shapes[layerName(layer, "w3")] = [gatedWidth(width), width];
      shapes[layerName(layer, "w2")] = [width, gatedWidth(width)];
    }
  }
  return shapes;
}

/** Norms at 1, queries as large as what they are added to, every layer's last projection at 0. */
export function outputDecoderInitial({ width }: ModuleSizes, name: string): Initial {
  if (name.endsWith("norm.weight")) return "ones";
  if (name.endsWith("query.weight")) return { std: 1 };
  return name.endsWith("out.weight") || name.endsWith("w2.weight") ? "zeros" : { std: 1 / Math.sqrt(width) };
}

/**
 * The k states of every position, `h_j = h + Δ_j(h)`, each a different function of h.
 *
 * Source: Cheng et al. 2026, the output decoder. Ours: there is only one state to attend over, so attention has
 * nothing to choose and is left out; what tells the k functions apart is the `structure`.
 * - "maps": `Δ_j = W · silu(M_j · norm(h))` with a matrix M_j for each entry
 * - "gated": `Δ_j = W2 · (silu(W1 · z_j) ∘ W3 · z_j)` with `z_j = norm(h) + query_j`
 *
 * @param hidden [N, D]
 * @returns [N, k, D]
 */
export function outputDecoder(params: Params, sizes: ModuleSizes, hidden: tf.Tensor2D): tf.Tensor3D {
  const shapes = outputDecoderShapes(sizes);
  const change = sizes.structure === "maps" ? mapsChange : gatedChange;
  // The first layer reads one state, [N, 1, D]; every later one reads the k states of the layer before.
  let states = tf.expandDims(hidden, 1) as tf.Tensor3D;
  for (let layer = 0; layer < sizes.depth; layer++) {
    const weight: LayerWeights = (name) => {
      const full = layerName(layer, name);
      return parameter(params, full, shapes[full]!);
    };
    const flat = tf.reshape(states, [-1, sizes.width]) as tf.Tensor2D;
    const normed = rmsNorm(flat, weight("norm"), EPSILON);
    states = tf.add(states, change(weight, sizes, normed, layer > 0)) as tf.Tensor3D;
  }
  return states;
}

type LayerWeights = <T extends tf.Tensor>(name: string) => T;

/** @param normed [N, D], or [N·k, D] when each entry already has a state of its own; result [N, k, D] */
function mapsChange(weight: LayerWeights, sizes: ModuleSizes, normed: tf.Tensor2D, ownStates: boolean): tf.Tensor3D {
  const { width, windowSize } = sizes;
  const maps = weight<tf.Tensor3D>("maps"); // [k, D, D]
  let mapped: tf.Tensor; // [N·k, D]
  if (ownStates) {
    const byEntry = tf.transpose(tf.reshape(normed, [-1, windowSize, width]), [1, 0, 2]); // [k, N, D]
    mapped = tf.transpose(tf.matMul(byEntry, maps, false, true), [1, 0, 2]);
  } else {
    mapped = linear(normed, tf.reshape(maps, [windowSize * width, width]) as tf.Tensor2D); // one product: [N, k·D]
  }
  const active = silu(tf.reshape(mapped, [-1, width]) as tf.Tensor2D);
  return tf.reshape(linear(active, weight("out")), [-1, windowSize, width]) as tf.Tensor3D;
}

/** As {@link mapsChange}. W·(n + q_j) is taken as W·n + W·q_j, so a state shared by all entries is multiplied once. */
function gatedChange(weight: LayerWeights, sizes: ModuleSizes, normed: tf.Tensor2D, ownStates: boolean): tf.Tensor3D {
  const { width, windowSize } = sizes;
  const hidden = gatedWidth(width);
  const query = weight<tf.Tensor2D>("query"); // [k, D]
  const projected = (name: string) => {
    const matrix = weight<tf.Tensor2D>(name); // [M, D]
    const ofState = tf.reshape(linear(normed, matrix), [-1, ownStates ? windowSize : 1, hidden]);
    return tf.add(ofState, linear(query, matrix)); // [N, k, M]
  };
  const active = tf.reshape(swiglu(projected("w1"), projected("w3")), [-1, hidden]);
  return tf.reshape(linear(active, weight("w2")), [-1, windowSize, width]) as tf.Tensor3D;
}
