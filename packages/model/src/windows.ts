import { ShapeError } from "@tensorar/core";
import * as tf from "@tensorflow/tfjs-core";
import type { Backbone, Condition } from "./backbone";
import { inputEncoder } from "./input-encoder";
import type { ModuleSizes } from "./modules";
import { outputDecoder } from "./output-decoder";
import type { Params } from "./parameters";
import { expectShape } from "./shapes";

// R rows · L positions · k window · D width

/** e_i of every window: [R, L, k] → [R, L, D]. `sharedCodes` as in {@link inputEncoder}. */
export function embedWindows<C extends Condition>(
  backbone: Backbone<C>,
  sizes: ModuleSizes,
  params: Params,
  windows: tf.Tensor,
  sharedCodes: number | undefined,
): tf.Tensor {
  const { windowSize, width } = sizes;
  const length = windows.shape[1]!;
  const embedCodes = (codes: tf.Tensor) => backbone.embedCodes(params, codes);
  const flat = tf.reshape(windows, [-1, windowSize]) as tf.Tensor2D; // [N, k]
  const entry0 = windowSize === 1 ? flat : (tf.split(flat, [1, windowSize - 1], 1)[0] as tf.Tensor2D); // [N, 1]
  // Entry 0 is PAD only where a caller had nothing to pass, at position 0 of decode.
  const codes = tf.maximum(tf.squeeze(entry0, [1]), tf.scalar(0, "int32"));
  const first = embedCodes(codes) as tf.Tensor2D; // [N, D]
  if (windowSize === 1) return tf.reshape(first, [-1, length, width]);
  const change = inputEncoder(params, sizes, { first, windows: flat, embedCodes, sharedCodes });
  return tf.reshape(tf.add(first, change), [-1, length, width]);
}

/** The k states of every position: [R, L, D] → [R · L, k, D]. */
export function windowStates(sizes: ModuleSizes, params: Params, hidden: tf.Tensor): tf.Tensor {
  const { windowSize, width } = sizes;
  const flat = tf.reshape(hidden, [-1, width]) as tf.Tensor2D; // [N, D]
  if (windowSize === 1) return tf.expandDims(flat, 1);
  const states = outputDecoder(params, sizes, flat); // [N, k, D]
  if (sizes.evidence === "implicit") return states;
  return tf.concat([tf.expandDims(flat, 1), tf.slice(states, [0, 1, 0], [-1, windowSize - 1, width])], 1);
}

/** @throws ShapeError when windows are not [R, ...positions, k] */
export function expectWindow(
  where: string,
  windows: tf.Tensor,
  positions: readonly (number | string)[],
  windowSize: number,
): void {
  const given = windows.shape.at(-1);
  if (windows.rank === positions.length + 2 && given !== windowSize) {
    throw new ShapeError(
      `${where}: window ${given} does not fit windowSize ${windowSize} of this model; cut windows of ${windowSize}`,
    );
  }
  expectShape(where, positions.length === 0 ? "window" : "windows", windows, ["R", ...positions, windowSize]);
}
