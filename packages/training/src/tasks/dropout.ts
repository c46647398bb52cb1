import type { TensorData, TensorSpec } from "@tensorar/core";
import type { Dropout } from "@tensorar/model";
import { fillUniform } from "@tensorar/noise";
import * as tf from "@tensorflow/tfjs-core";

// S sites · N rows of a site, R · L · D width

/** Sizes of what the sites of a model drop out of. */
export interface DropoutSizes {
  /** S */
  readonly sites: number;
  /** N */
  readonly rows: number;
  /** D */
  readonly width: number;
}

/** What decides which entries are dropped: numbers in [32, 64). */
export const dropoutSpecs = ({ sites, rows, width }: DropoutSizes) => ({
  dropoutRows: { dtype: "float32", shape: [sites, rows] } satisfies TensorSpec,
  dropoutColumns: { dtype: "float32", shape: [sites, width] } satisfies TensorSpec,
});

/** The numbers of one step, see {@link dropoutSpecs}. */
export function dropoutDraws({ sites, rows, width }: DropoutSizes, seed: number, step: number) {
  return {
    dropoutRows: draws([sites, rows], seed, "dropout-rows", step),
    dropoutColumns: draws([sites, width], seed, "dropout-columns", step),
  };
}

function draws(shape: readonly number[], seed: number, name: string, step: number): TensorData {
  const data = new Float32Array(shape.reduce((a, b) => a * b));
  fillUniform(data, seed, name, step);
  return { dtype: "float32", shape, data: data.map((u) => 32 * (1 + u)) };
}

/**
 * Dropout whose randomness is an input, so that a traced step draws other masks each time and a resumed run the same ones. Entry
 * (n, d) of a site is dropped where the fraction of `row[n] · column[d]` is below the rate: one product in place of N · D random
 * numbers. Products lie in [1024, 4096), so their fractions are uniform to 2^-12, and those of two entries are independent unless
 * their rows or columns agree to 1 in 1024.
 *
 * @param rate in [0, 1)
 * @param rows float32 [S, N]
 * @param columns float32 [S, D]
 */
export function dropoutOf(rate: number, rows: tf.Tensor, columns: tf.Tensor): Dropout {
  const [ofRows, ofColumns] = [tf.unstack(rows), tf.unstack(columns)];
  return (x, site) => {
    const product = tf.mul(tf.expandDims(ofRows[site]!, 1), ofColumns[site]!); // [N, D]
    const uniform = tf.sub(product, tf.floor(product));
    const kept = tf.cast(tf.greaterEqual(uniform, rate), "float32");
    return tf.mul(x, tf.mul(kept, 1 / (1 - rate)));
  };
}
