import { MASK_VALUE } from "@tensorar/core";
import * as tf from "@tensorflow/tfjs-core";
import { causalMask } from "./attention";
import type { Backbone, BodyInputs, BodyOutput, Condition } from "./backbone";
import { layerCaches } from "./cache";
import { BLOCK_SITES, type BlockInputs, llamaGenBlock } from "./llamagen-block";
import { type LlamaGenConfig, llamaGenShapes, llamaGenSizes } from "./llamagen-config";
import { geluTanh } from "./ops/gelu";
import { embed, linear } from "./ops/linear";
import { rmsNorm } from "./ops/rms-norm";
import { ropeTable2d, ropeTables, spreadRopeTable } from "./ops/rope";
import { type Params, parameter } from "./parameters";
import { expectShape } from "./shapes";
import { tidy } from "./tidy";

// R rows · L positions · N = R · L · D width · H heads · Hkv key heads · Dh head width · V codes

export { initLlamaGen, type LlamaGenConfig } from "./llamagen-config";

/** Captions of a batch, as features of a text encoder. */
export interface CaptionCondition extends Readonly<Record<string, tf.Tensor>> {
  /** float32 [R, C, caption_dim]; left-padded with zeros. */
  readonly caption: tf.Tensor;
  /** float32 [R, C]: 1, or 0 where a position is padding. */
  readonly mask: tf.Tensor;
  /** int32 [R]: 1 where the learned null caption takes the caption's place. The mask stays the caption's. */
  readonly dropped: tf.Tensor;
}

/**
 * LlamaGen's decoder, conditioned on a class or on a caption. Source: `autoregressive/models/gpt.py` of
 * FoundationVision/LlamaGen. Differs: dropout of labels is the caller's, by passing `unconditionalClass` or `dropped`, there is
 * none of attention's weights, and the condition positions are always all there.
 *
 * @throws TensorARError when the config describes no model
 */
export function llamaGen(config: LlamaGenConfig & { readonly model_type: "t2i" }): Backbone<CaptionCondition>;
export function llamaGen(config: LlamaGenConfig & { readonly model_type: "c2i" }): Backbone;
export function llamaGen(config: LlamaGenConfig): Backbone<tf.Tensor | CaptionCondition>;
export function llamaGen(config: LlamaGenConfig): Backbone<tf.Tensor | CaptionCondition> {
  const shapes = llamaGenShapes(config);
  const weight = <T extends tf.Tensor>(params: Params, name: string) => parameter<T>(params, name, shapes[name]!);
  return {
    ...llamaGenDecoder(config, weight, { vanishing: true, rows: (positions) => positions }),
    conditionPositions: config.cls_token_num,
    ...(config.model_type === "t2i" ? captions(config, weight) : classes(config, weight)),
    shapes,
  };
}

/** How positions are placed that come before the image. */
interface PrefixPlaces<C extends Condition> {
  /** Whether their queries and keys vanish, as in the original; otherwise they are not turned. */
  readonly vanishing: boolean;
  /** Rows of the rotary table, which has one for each of the config's condition positions and then the image's: of the shape of positions. */
  readonly rows: (positions: tf.Tensor, condition: C) => tf.Tensor;
}

/** What does not depend on how images are conditioned. */
export function llamaGenDecoder<C extends Condition>(
  config: LlamaGenConfig,
  weight: WeightOf,
  { vanishing, rows }: PrefixPlaces<C>,
): Pick<Backbone<C>, "width" | "vocabSize" | "tokens" | "cache" | "dropoutSites" | "embedCodes" | "body" | "head"> {
  const sizes = llamaGenSizes(config);
  const table = ropeTable2d(sizes.grid, sizes.headDim, config.rope_base ?? 10000, config.cls_token_num);
  if (!vanishing) for (let i = 0; i < config.cls_token_num * sizes.headDim; i += 2) table[i] = 1; // cos
  const spread = spreadRopeTable(table, sizes.headDim);
  const group = config.n_head / sizes.keyHeads;
  return {
    width: config.dim,
    vocabSize: config.vocab_size,
    tokens: config.block_size,
    cache: { layers: config.n_layer, heads: sizes.keyHeads, headDim: sizes.headDim },
    dropoutSites: 1 + BLOCK_SITES * config.n_layer,

    embedCodes: (params, codes) => tidy(() => embed(weight(params, "tok_embeddings.weight"), codes)),

    body: (params, x, { positions, condition, mask, cache, dropout }) =>
      tidy(() => {
        const [, length] = expectShape("body", "x", x, ["R", "L", config.dim]) as [number, number, number];
        expectShape("body", "positions", positions, positions.rank === 1 ? [length] : ["R", length]);
        const tables = ropeTables(
          tf.tensor2d(spread, [spread.length / (2 * sizes.headDim), 2 * sizes.headDim]),
          rows(positions, condition),
          { heads: config.n_head, keyHeads: sizes.keyHeads },
        );
        const own = causalMask(positions, { mask, group });
        const ofLayer: LayerWeightOf = (layer, name) => weight(params, `layers.${layer}.${name}`);
        const given = { tables, length, own, cache, dropout };
        const { hidden, ...outputs } = runBlocks(config, sizes, ofLayer, x, given);
        const normed = rmsNorm(hidden, weight(params, "norm.weight"), config.norm_eps ?? 1e-5);
        return { ...outputs, hidden: tf.reshape(normed, [-1, length, config.dim]) };
      }),

    head: (params, hidden) => tidy(() => linear(hidden, weight(params, "output.weight"))),
  };
}

type LayerWeightOf = <T extends tf.Tensor>(layer: number, name: string) => T;

/** All blocks: x [R, L, D] → hidden [R · L, D], before the last norm, and the new rows of the cache. */
function runBlocks(
  config: LlamaGenConfig,
  sizes: ReturnType<typeof llamaGenSizes>,
  weight: LayerWeightOf,
  x: tf.Tensor,
  { cache, dropout, ...given }: Omit<BlockInputs, "cache"> & Pick<BodyInputs, "cache">,
): BodyOutput & { readonly hidden: tf.Tensor2D } {
  const [keys, values]: [tf.Tensor[], tf.Tensor[]] = [[], []];
  let h = tf.reshape(x, [-1, config.dim]) as tf.Tensor2D; // [N, D]
  if (dropout) h = dropout(h, 0) as tf.Tensor2D;
  for (const [layer, cached] of layerCaches(cache, config.n_layer).entries()) {
    const block = llamaGenBlock(config, sizes, (name) => weight(layer, name), h, {
      ...given,
      cache: cached,
      dropout: dropout && ((y, site) => dropout(y, 1 + BLOCK_SITES * layer + site)),
    });
    h = block.hidden;
    keys.push(block.keys);
    values.push(block.values);
  }
  return { hidden: h, keys, values };
}

type WeightOf = <T extends tf.Tensor>(params: Params, name: string) => T;
type Conditioned = Pick<Backbone<never>, "condition" | "unconditionalClass" | "embedCondition" | "conditionMask">;

const classes = (config: LlamaGenConfig, weight: WeightOf): Conditioned => ({
  condition: { dtype: "int32", shape: [] },
  unconditionalClass: config.class_dropout_prob > 0 ? config.num_classes : -1,
  embedCondition: (params: Params, condition: tf.Tensor) =>
    tidy(() => {
      expectShape("embedCondition", "condition", condition, ["R"]);
      return tf.expandDims(embed(weight(params, "cls_embedding.embedding_table.weight"), condition), 1); // [R, 1, D]
    }),
});

/** Features of captions [R, C, caption_dim] as positions [R, C, D]. */
export function embedCaption(weight: WeightOf, params: Params, features: tf.Tensor): tf.Tensor {
  const inner = geluTanh(linear(features, weight(params, "cls_embedding.cap_proj.fc1.weight")));
  return linear(inner, weight(params, "cls_embedding.cap_proj.fc2.weight"));
}

function captions(config: LlamaGenConfig, weight: WeightOf): Conditioned {
  const { cls_token_num: positions } = config;
  const [, width] = llamaGenShapes(config)["cls_embedding.uncond_embedding"] as [number, number];
  return {
    condition: {
      caption: { dtype: "float32", shape: [positions, width] },
      mask: { dtype: "float32", shape: [positions] },
      dropped: { dtype: "int32", shape: [] },
    },
    unconditionalClass: -1,
    embedCondition: (params: Params, { caption, dropped }: CaptionCondition) =>
      tidy(() => {
        expectShape("embedCondition", "caption", caption, ["R", positions, width]);
        expectShape("embedCondition", "dropped", dropped, ["R"]);
        const none = tf.cast(tf.expandDims(tf.expandDims(dropped, 1), 1), "float32"); // [R, 1, 1]
        const uncond = weight(params, "cls_embedding.uncond_embedding"); // [C, caption_dim]
        const chosen = tf.add(tf.mul(caption, tf.sub(1, none)), tf.mul(uncond, none)); // exact: one of the two is 0
        return embedCaption(weight, params, chosen);
      }),
    conditionMask: ({ mask }: CaptionCondition) =>
      tidy(() => {
        expectShape("conditionMask", "mask", mask, ["R", positions]);
        return tf.mul(tf.sub(1, mask), MASK_VALUE);
      }),
  };
}
