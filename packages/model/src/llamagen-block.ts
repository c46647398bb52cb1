import * as tf from "@tensorflow/tfjs-core";
import { attention, type LayerCache } from "./attention";
import type { Dropout } from "./backbone";
import { linear } from "./ops/linear";
import { rmsNorm } from "./ops/rms-norm";
import { type RopeTables, rope } from "./ops/rope";
import { swiglu } from "./ops/swiglu";

// R rows · L positions · N = R · L · D width · H heads · Hkv key heads · Dh head width

/** Sizes that a block is made from; the keys of the original. */
export interface BlockConfig {
  readonly dim: number;
  readonly n_head: number;
  readonly norm_eps?: number;
}

export interface HeadSizes {
  readonly headDim: number;
  readonly keyHeads: number;
}

/** What a block is given besides its weights. */
export interface BlockInputs {
  readonly tables: RopeTables;
  /** L */
  readonly length: number;
  /** From {@link causalMask}. */
  readonly own: tf.Tensor | undefined;
  readonly cache: LayerCache | undefined;
  /** What attention and the feed-forward add, dropped out in training, at sites 0 and 1. */
  readonly dropout?: Dropout | undefined;
}

/** Sites of a block's dropout. */
export const BLOCK_SITES = 2;

/** Weights of one block by their names inside it. */
export type BlockWeights = <T extends tf.Tensor>(name: string) => T;

/** One decoder block: h [N, D] → hidden [N, D], and the new rows of its cache. */
export function llamaGenBlock(
  config: BlockConfig,
  sizes: HeadSizes,
  weight: BlockWeights,
  h: tf.Tensor2D,
  inputs: BlockInputs,
): { hidden: tf.Tensor2D; keys: tf.Tensor; values: tf.Tensor } {
  const epsilon = config.norm_eps ?? 1e-5;
  const attended = selfAttention(config, sizes, weight, rmsNorm(h, weight("attention_norm.weight"), epsilon), inputs);
  const { dropout = (x) => x } = inputs;
  const middle = tf.add(h, dropout(attended.output, 0)) as tf.Tensor2D;
  const fed = feedForward(weight, rmsNorm(middle, weight("ffn_norm.weight"), epsilon));
  return { ...attended, hidden: tf.add(middle, dropout(fed, 1)) as tf.Tensor2D };
}

function selfAttention(
  config: BlockConfig,
  { headDim, keyHeads }: HeadSizes,
  weight: BlockWeights,
  x: tf.Tensor2D,
  { tables, length, own, cache }: BlockInputs,
): { output: tf.Tensor2D; keys: tf.Tensor; values: tf.Tensor } {
  const heads = config.n_head;
  const qkv = linear(x, weight("attention.wqkv.weight")); // [N, (H + 2 Hkv) · Dh]
  const byHead = tf.transpose(tf.reshape(qkv, [-1, length, heads + 2 * keyHeads, headDim]), [0, 2, 1, 3]);
  const [turning, values] = tf.split(byHead, [heads + keyHeads, keyHeads], 1) as [tf.Tensor, tf.Tensor];
  const [queries, keys] = tf.split(rope(turning, tables), [heads, keyHeads], 1) as [tf.Tensor, tf.Tensor];
  const mixed = attention(queries, keys, values, { cache, own }); // [R, H, L, Dh]
  const rows = tf.reshape(tf.transpose(mixed, [0, 2, 1, 3]), [-1, config.dim]);
  const output = linear(rows, weight("attention.wo.weight")) as tf.Tensor2D;
  return { output, keys, values };
}

function feedForward(weight: BlockWeights, x: tf.Tensor2D): tf.Tensor2D {
  const gate = linear(x, weight("feed_forward.w1.weight"));
  const up = linear(x, weight("feed_forward.w3.weight"));
  return linear(swiglu(gate, up), weight("feed_forward.w2.weight")) as tf.Tensor2D;
}
