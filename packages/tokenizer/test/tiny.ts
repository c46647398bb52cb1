import { createStream, fillUniform } from "@tensorar/noise";
import * as tf from "@tensorflow/tfjs-core";
import type { VqConfig } from "../src";

/** As small as the architecture allows: two levels, so that codes are 2 × 2 pixels. */
export const TINY: VqConfig = {
  codebook_size: 24,
  codebook_embed_dim: 4,
  codebook_l2_norm: true,
  codebook_show_usage: true,
  commit_loss_beta: 0.25,
  entropy_loss_ratio: 0.1,
  encoder_ch_mult: [1, 1],
  decoder_ch_mult: [1, 1],
  z_channels: 8,
  ch: 32,
  num_res_blocks: 1,
};

/** Images in `[-1, 1)`, addressed by their purpose. */
export function randomImages(purpose: string, shape: [number, number, number, number]): tf.Tensor4D {
  const values = new Float32Array(shape.reduce((product, size) => product * size, 1));
  fillUniform(values, 1, purpose);
  return tf.tensor4d(
    values.map((value) => 2 * value - 1),
    shape,
  );
}

/** Codes below `below`, addressed by their purpose. */
export function randomCodes(purpose: string, shape: [number, number], below: number): tf.Tensor2D {
  const stream = createStream(1, purpose);
  return tf.tensor2d(
    Int32Array.from({ length: shape[0] * shape[1] }, () => stream.below(below)),
    shape,
    "int32",
  );
}
