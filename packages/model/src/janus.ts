import * as tf from "@tensorflow/tfjs-core";
import { attention, causalMask, type LayerCache } from "./attention";
import type { Backbone, BodyInputs, BodyOutput } from "./backbone";
import { layerCaches } from "./cache";
import { checkJanusConfig, type JanusConfig, janusShapes } from "./janus-config";
import { JANUS_TEMPLATE } from "./janus-prompt";
import { gelu } from "./ops/gelu";
import { embed, linear } from "./ops/linear";
import { rmsNorm } from "./ops/rms-norm";
import { type RopeTables, rope, ropeTables1d } from "./ops/rope";
import { swiglu } from "./ops/swiglu";
import { type Params, parameter } from "./parameters";
import { PROMPT_CONDITION, type PromptCondition, promptMask } from "./prompt-condition";
import { expectShape } from "./shapes";
import { tidy } from "./tidy";

// R rows · P prompt tokens · L positions · N = R · L · D width · H heads · Hkv key heads · Dh head width

/**
 * Janus-Pro's path to images: a Llama reads the prompt and then embeddings of codes, and a head of its own predicts
 * codes. "None" for guidance is the prompt with all but its first and last token replaced by `pad_id`.
 *
 * Source: `janus/models/modeling_vlm.py` and `generation_inference.py` of deepseek-ai/Janus; the language model is that
 * of transformers `models/llama/modeling_llama.py`. Differs: prompts of different lengths fit in one batch, since
 * positions count only relative to each other.
 *
 * @throws TensorARError when the config describes no model
 */
export function janus(config: JanusConfig): Backbone<PromptCondition> {
  checkJanusConfig(config);
  const { language, gen_vision, aligner_depth = 2 } = config;
  const { hidden_size: width, num_attention_heads: heads } = language;
  const shapes = janusShapes(config);
  const weight: Weight = (params, name) => parameter(params, name, shapes[name]!);
  const affine = affineOf(weight);

  return {
    width,
    vocabSize: gen_vision.codebook_size,
    tokens: gen_vision.grid ** 2,
    conditionPositions: undefined,
    condition: PROMPT_CONDITION,
    unconditionalClass: -1,
    prompts: { vocabSize: language.vocab_size, padId: config.pad_id, template: JANUS_TEMPLATE },
    cache: { layers: language.num_hidden_layers, heads: language.num_key_value_heads, headDim: width / heads },
    shapes,

    embedCondition: (params, { prompt }) =>
      tidy(() => {
        expectShape("embedCondition", "prompt", prompt, ["R", "P"]);
        return embed(weight(params, "language_model.model.embed_tokens.weight"), prompt); // [R, P, D]
      }),

    conditionMask: promptMask,

    embedCodes: (params, codes) =>
      tidy(() => {
        const x = embed(weight(params, "gen_embed.weight"), codes);
        return align(aligner_depth, (layer, x) => affine(params, `gen_aligner.layers.${2 * layer}`, x), x);
      }),

    body: (params, x, inputs) =>
      tidy(() => llamaBody(language, (name) => weight(params, `language_model.model.${name}.weight`), x, inputs)),

    head: (params, hidden) =>
      tidy(() => affine(params, "gen_head.vision_head", gelu(affine(params, "gen_head.output_mlp_projector", hidden)))),
  };
}

const affineOf =
  (weight: Weight) =>
  (params: Params, name: string, x: tf.Tensor): tf.Tensor =>
    tf.add(linear(x, weight(params, `${name}.weight`)), weight(params, `${name}.bias`));

/** The affine layers of the aligner, with a GELU between them. */
function align(depth: number, affine: (layer: number, x: tf.Tensor) => tf.Tensor, codes: tf.Tensor): tf.Tensor {
  let x = codes;
  for (let layer = 0; layer < depth; layer++) x = affine(layer, layer === 0 ? x : gelu(x));
  return x;
}

type Weight = <T extends tf.Tensor>(params: Params, name: string) => T;
type Weights = <T extends tf.Tensor>(name: string) => T;

/** The blocks of a Llama and the norm behind them: x [R, L, D] → hidden [R, L, D]. */
function llamaBody(
  language: JanusConfig["language"],
  weight: Weights,
  x: tf.Tensor,
  { positions, mask, cache }: BodyInputs<PromptCondition>,
): BodyOutput {
  const { hidden_size: width, num_attention_heads: heads, num_key_value_heads: keyHeads } = language;
  const [, length] = expectShape("body", "x", x, ["R", "L", width]) as [number, number, number];
  const tables = ropeTables1d(positions, { headDim: width / heads, heads, keyHeads, base: language.rope_theta });
  const own = causalMask(positions, { mask, group: heads / keyHeads });
  const output: BodyOutput = { hidden: x, keys: [], values: [] };
  let h = tf.reshape(x, [-1, width]) as tf.Tensor2D; // [N, D]
  for (const [layer, cached] of layerCaches(cache, language.num_hidden_layers).entries()) {
    const ofBlock: Weights = (name) => weight(`layers.${layer}.${name}`);
    const { hidden, keys, values } = llamaBlock(language, ofBlock, h, { tables, length, own, cache: cached });
    h = hidden;
    output.keys.push(keys);
    output.values.push(values);
  }
  const hidden = rmsNorm(h, weight("norm"), language.rms_norm_eps);
  return { ...output, hidden: tf.reshape(hidden, [-1, length, width]) };
}

interface BlockInputs {
  readonly tables: RopeTables;
  readonly length: number;
  readonly own: tf.Tensor | undefined;
  readonly cache: LayerCache | undefined;
}

/** One block of a Llama: h [N, D] → hidden [N, D], and the new rows of its cache. */
function llamaBlock(
  { rms_norm_eps }: JanusConfig["language"],
  weight: Weights,
  h: tf.Tensor2D,
  { tables, length, own, cache }: BlockInputs,
) {
  const headDim = tables.swap.shape[0];
  const x = rmsNorm(h, weight("input_layernorm"), rms_norm_eps);
  const byHead = (name: string): tf.Tensor => {
    const projected = linear(x, weight(`self_attn.${name}`)); // [N, H · Dh]
    return tf.transpose(tf.reshape(projected, [-1, length, projected.shape[1]! / headDim, headDim]), [0, 2, 1, 3]);
  };
  const [q, k, values] = [byHead("q_proj"), byHead("k_proj"), byHead("v_proj")];
  const turned = rope(tf.concat([q, k], 1), tables);
  const [queries, keys] = tf.split(turned, [q.shape[1]!, k.shape[1]!], 1) as [tf.Tensor, tf.Tensor];
  const mixed = attention(queries, keys, values, { cache, own }); // [R, H, L, Dh]
  const rows = tf.reshape(tf.transpose(mixed, [0, 2, 1, 3]), [-1, h.shape[1]]);
  const middle = tf.add(h, linear(rows, weight("self_attn.o_proj"))) as tf.Tensor2D;
  const normed = rmsNorm(middle, weight("post_attention_layernorm"), rms_norm_eps);
  const inner = swiglu(linear(normed, weight("mlp.gate_proj")), linear(normed, weight("mlp.up_proj")));
  const hidden = tf.add(middle, linear(inner, weight("mlp.down_proj"))) as tf.Tensor2D;
  return { hidden, keys, values };
}
