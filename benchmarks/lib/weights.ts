import type { ParameterShapes } from "@tensorar/model";
import { createStream } from "@tensorar/noise";
import * as tf from "@tensorflow/tfjs-core";

const BLOCK = 65_521; // a prime, so that rows of a matrix differ

/** Weights for timing: normal numbers of deviation 0.02 that repeat, since drawing 100 M of them takes longer than any run. */
export function timingWeights(shapes: ParameterShapes): Record<string, tf.Tensor> {
  const stream = createStream(1, "timing-weights");
  const block = Float32Array.from({ length: BLOCK }, () => 0.02 * stream.normal());
  return Object.fromEntries(
    Object.entries(shapes).map(([name, shape], index) => {
      const values = new Float32Array(tf.util.sizeFromShape([...shape]));
      // Each tensor starts elsewhere in the block: equal tensors could be stored once.
      for (let at = 0, from = (index * 997) % BLOCK; at < values.length; from = 0) {
        const part = block.subarray(from, Math.min(BLOCK, from + values.length - at));
        values.set(part, at);
        at += part.length;
      }
      return [name, tf.tensor(values, [...shape], "float32")];
    }),
  );
}

/** Number of weights that take part in matrix products at every token: all matrices but the tables of embeddings. */
export function matmulWeights(shapes: ParameterShapes): number {
  return Object.entries(shapes)
    .filter(([name, shape]) => shape.length === 2 && !name.includes("embedding"))
    .reduce((sum, [, shape]) => sum + shape[0]! * shape[1]!, 0);
}
