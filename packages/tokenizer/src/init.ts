import { fillUniform } from "@tensorar/noise";
import * as tf from "@tensorflow/tfjs-core";
import type { VqConfig } from "./config";
import { createTokenizer, type TokenizerSpec } from "./tokenizer";

/** {@link initTokenizer} for LlamaGen's VQ autoencoder. */
export const initVq = (config: VqConfig, seed: number): Record<string, tf.Tensor> =>
  initTokenizer({ kind: "vq", config }, seed);

/**
 * Fresh parameters, distributed as the original's: PyTorch's default for convolutions and linear maps (uniform within
 * `±1 / sqrt(fan_in)`, weights and biases), norms at 1 and 0, codes uniform within `±1 / V` and, where codes are
 * compared by angle, scaled to length 1. A parameter depends on the seed and its own name only.
 *
 * The caller owns the tensors.
 * @param seed integer in `[0, 2^53)`
 */
export function initTokenizer(spec: TokenizerSpec, seed: number): Record<string, tf.Tensor> {
  const { shapes, codebookSize } = createTokenizer(spec);
  const byAngle = spec.kind === "vq" && spec.config.codebook_l2_norm;
  const initial = (name: string, shape: readonly number[]): Float32Array => {
    const values = new Float32Array(shape.reduce((product, size) => product * size, 1));
    if (name === CODEBOOK) {
      uniform(values, 1 / codebookSize, seed, name);
      return byAngle ? scaleRows(values, shape[1]!) : values;
    }
    const weightShape = shapes[name.replace(/bias$/, "weight")]!;
    if (weightShape.length === 1) return values.fill(name.endsWith("weight") ? 1 : 0); // a norm
    const fanIn = weightShape.slice(1).reduce((product, size) => product * size, 1);
    return uniform(values, 1 / Math.sqrt(fanIn), seed, name);
  };
  return Object.fromEntries(
    Object.entries(shapes).map(([name, shape]) => [name, tf.tensor(initial(name, shape), [...shape], "float32")]),
  );
}

const CODEBOOK = "quantize.embedding.weight";

function uniform(values: Float32Array, bound: number, seed: number, name: string): Float32Array {
  fillUniform(values, seed, `init/${name}`);
  for (let i = 0; i < values.length; i++) values[i] = bound * (2 * values[i]! - 1);
  return values;
}

/** Scales each row of `width` numbers to length 1, in place. */
function scaleRows(values: Float32Array, width: number): Float32Array {
  for (let start = 0; start < values.length; start += width) {
    const row = values.subarray(start, start + width);
    const norm = Math.hypot(...row);
    for (let i = 0; i < width; i++) row[i]! /= norm;
  }
  return values;
}
