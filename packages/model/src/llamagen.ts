import * as tf from "@tensorflow/tfjs-core";
import { attention, type LayerCache } from "./attention";
import type { Backbone, TrunkOutput } from "./backbone";
import { layerCaches } from "./cache";
import { type LlamaGenConfig, type LlamaGenSizes, llamaGenShapes, llamaGenSizes } from "./llamagen-config";
import { embed, linear } from "./ops/linear";
import { rmsNorm } from "./ops/rms-norm";
import { type RopeTables, rope, ropeTable2d, ropeTables, spreadRopeTable } from "./ops/rope";
import { swiglu } from "./ops/swiglu";
import { type Params, parameter } from "./parameters";
import { expectShape } from "./shapes";
import { tidy } from "./tidy";

// R rows · L slots · N = R · L · D width · H heads · Hkv key heads · Dh head width · V codes

export { initLlamaGen, type LlamaGenConfig } from "./llamagen-config";

/**
 * LlamaGen's class-conditional decoder. Source: `autoregressive/models/gpt.py` of FoundationVision/LlamaGen.
 * Differs: dropout is left out (label dropout is the caller's, by passing `nullCondition`), and the condition slots
 * are always all there.
 *
 * @throws TensorARError when the config describes no model
 */
export function llamaGen(config: LlamaGenConfig): Backbone {
  const sizes = llamaGenSizes(config);
  const shapes = llamaGenShapes(config);
  const weight = <T extends tf.Tensor>(params: Params, name: string) => parameter<T>(params, name, shapes[name]!);
  const table = ropeTable2d(sizes.grid, sizes.headDim, config.rope_base ?? 10000, config.cls_token_num);
  const spread = spreadRopeTable(table, sizes.headDim);

  return {
    width: config.dim,
    vocabSize: config.vocab_size,
    tokens: config.block_size,
    conditionSlots: config.cls_token_num,
    condition: { dtype: "int32", shape: [] },
    nullCondition: config.class_dropout_prob > 0 ? config.num_classes : -1,
    cache: { layers: config.n_layer, heads: sizes.keyHeads, headDim: sizes.headDim },
    shapes,

    embedCondition: (params, condition) =>
      tidy(() => {
        expectShape("embedCondition", "condition", condition, ["R"]);
        return tf.expandDims(embed(weight(params, "cls_embedding.embedding_table.weight"), condition), 1); // [R, 1, D]
      }),

    embedCodes: (params, codes) => tidy(() => embed(weight(params, "tok_embeddings.weight"), codes)),

    trunk: (params, x, { positions, mask, cache }) =>
      tidy(() => {
        const [, length] = expectShape("trunk", "x", x, ["R", "L", config.dim]) as [number, number, number];
        expectShape("trunk", "positions", positions, [length]);
        const tables = ropeTables(
          tf.tensor2d(spread, [spread.length / (2 * sizes.headDim), 2 * sizes.headDim]),
          positions as tf.Tensor1D,
          { heads: config.n_head, keyHeads: sizes.keyHeads },
        );
        const outputs: TrunkOutput = { hidden: x, keys: [], values: [] };
        let h = tf.reshape(x, [-1, config.dim]) as tf.Tensor2D; // [N, D]
        for (const [layer, cached] of layerCaches(cache, config.n_layer).entries()) {
          const block = llamaGenBlock(config, sizes, (name) => weight(params, `layers.${layer}.${name}`), h, {
            tables,
            length,
            mask,
            cache: cached,
          });
          h = block.hidden;
          outputs.keys.push(block.keys);
          outputs.values.push(block.values);
        }
        const hidden = rmsNorm(h, weight(params, "norm.weight"), config.norm_eps ?? 1e-5);
        return { ...outputs, hidden: tf.reshape(hidden, [-1, length, config.dim]) };
      }),

    head: (params, hidden) => tidy(() => linear(hidden, weight(params, "output.weight"))),
  };
}

/** What a block is given besides its weights. */
export interface BlockInputs {
  readonly tables: RopeTables;
  /** L */
  readonly length: number;
  /** [R, L] */
  readonly mask: tf.Tensor | undefined;
  readonly cache: LayerCache | undefined;
}

/** Weights of one block by their names inside it. */
type BlockWeights = <T extends tf.Tensor>(name: string) => T;

/** One decoder block: h [N, D] → hidden [N, D], and the new rows of its cache. */
export function llamaGenBlock(
  config: LlamaGenConfig,
  sizes: LlamaGenSizes,
  weight: BlockWeights,
  h: tf.Tensor2D,
  inputs: BlockInputs,
): { hidden: tf.Tensor2D; keys: tf.Tensor; values: tf.Tensor } {
  const epsilon = config.norm_eps ?? 1e-5;
  const attended = selfAttention(config, sizes, weight, rmsNorm(h, weight("attention_norm.weight"), epsilon), inputs);
  const middle = tf.add(h, attended.output) as tf.Tensor2D;
  const fed = feedForward(weight, rmsNorm(middle, weight("ffn_norm.weight"), epsilon));
  return { ...attended, hidden: tf.add(middle, fed) as tf.Tensor2D };
}

function selfAttention(
  config: LlamaGenConfig,
  { headDim, keyHeads }: LlamaGenSizes,
  weight: BlockWeights,
  x: tf.Tensor2D,
  { tables, length, mask, cache }: BlockInputs,
): { output: tf.Tensor2D; keys: tf.Tensor; values: tf.Tensor } {
  const heads = config.n_head;
  const qkv = linear(x, weight("attention.wqkv.weight")); // [N, (H + 2 Hkv) · Dh]
  const byHead = tf.transpose(tf.reshape(qkv, [-1, length, heads + 2 * keyHeads, headDim]), [0, 2, 1, 3]);
  const [turning, values] = tf.split(byHead, [heads + keyHeads, keyHeads], 1) as [tf.Tensor, tf.Tensor];
  const [queries, keys] = tf.split(rope(turning, tables), [heads, keyHeads], 1) as [tf.Tensor, tf.Tensor];
  const mixed = attention(queries, keys, values, { cache, mask }); // [R, H, L, Dh]
  const rows = tf.reshape(tf.transpose(mixed, [0, 2, 1, 3]), [-1, config.dim]);
  const output = linear(rows, weight("attention.wo.weight")) as tf.Tensor2D;
  return { output, keys: tf.transpose(keys, [0, 1, 3, 2]), values };
}

function feedForward(weight: BlockWeights, x: tf.Tensor2D): tf.Tensor2D {
  const gate = linear(x, weight("feed_forward.w1.weight"));
  const up = linear(x, weight("feed_forward.w3.weight"));
  return linear(swiglu(gate, up), weight("feed_forward.w2.weight")) as tf.Tensor2D;
}
