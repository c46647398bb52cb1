import * as tf from "@tensorflow/tfjs-core";
import { causalMask } from "./attention";
import type { Backbone, BodyCache, BodyOutput } from "./backbone";
import { layerCaches } from "./cache";
import { llamaGenBlock } from "./llamagen-block";
import { type Magvit2ArConfig, magvit2ArShapes, magvit2ArSizes } from "./magvit2-config";
import { embed, linear } from "./ops/linear";
import { rmsNorm } from "./ops/rms-norm";
import { ropeTable2d, ropeTables, spreadRopeTable } from "./ops/rope";
import { type Params, parameter } from "./parameters";
import { expectShape } from "./shapes";
import { splitTokens } from "./sub-tokens";
import { tidy } from "./tidy";

// R rows · L positions · N = R · L · D width

/**
 * Open-MAGVIT2's class-conditional transformer. A token is two sub-tokens, which its lower and its upper bits count.
 * Blocks over space see the sum of their embeddings; what they make of a position is the first member of a pair whose second
 * is the embedding of the first sub-token, and blocks over the pair predict the one from the first member, the other
 * from the second. These blocks are the head here, so TensorAR's window is one of whole tokens.
 *
 * Source: `src/Open_MAGVIT2/modules/transformer/gpt.py` of TencentARC/SEED-Voken. Differs: dropout is left out (label
 * dropout is the caller's, by passing `unconditionalClass`).
 *
 * @throws TensorARError when the config describes no model
 */
export function magvit2Ar(config: Magvit2ArConfig): Backbone {
  const sizes = magvit2ArSizes(config);
  const shapes = magvit2ArShapes(config);
  const { dim: width } = config;
  const weight: Weight = (params, name) => parameter(params, name, shapes[name]!);
  const blocks = blockStack(config, sizes, weight);
  const heads = factorHeads(config, blocks, weight);
  return {
    width,
    vocabSize: sizes.factors.reduce((product, size) => product * size, 1),
    tokens: config.block_size,
    conditionPositions: 1,
    condition: { dtype: "int32", shape: [] },
    unconditionalClass: config.class_num,
    cache: { layers: config.spatial_n_layer, heads: sizes.keyHeads, headDim: sizes.headDim },
    shapes,

    embedCondition: (params, condition) =>
      tidy(() => {
        expectShape("embedCondition", "condition", condition, ["R"]);
        return tf.expandDims(embed(weight(params, "class_emb.embedding_table.weight"), condition), 1); // [R, 1, D]
      }),

    embedCodes: (params, codes) =>
      tidy(() => {
        const [pre, post] = splitTokens(codes, sizes.factors) as [tf.Tensor, tf.Tensor];
        return tf.add(embed(weight(params, "pre_emb.weight"), pre), embed(weight(params, "post_emb.weight"), post));
      }),

    body: (params, x, inputs) => tidy(() => blocks(params, spatial(config), x, inputs)),

    head: (params, hidden) =>
      tidy(() => {
        const [logits] = heads(params, tf.reshape(hidden, [-1, width]), []) as [tf.Tensor];
        return tf.reshape(logits, [-1, ...hidden.shape.slice(1, -1), sizes.factors[0]!]);
      }),

    factors: { sizes: sizes.factors, heads: (params, hidden, known) => tidy(() => heads(params, hidden, known)) },
  };
}

type Weight = <T extends tf.Tensor>(params: Params, name: string) => T;

/** Blocks that follow each other, by the prefix of their parameters. */
interface Stack {
  readonly name: string;
  readonly layers: number;
}

const spatial = (config: Magvit2ArConfig): Stack => ({ name: "spatial_blocks", layers: config.spatial_n_layer });
const factorized = (config: Magvit2ArConfig): Stack => ({
  name: "factorized_blocks",
  layers: config.factorized_n_layer,
});

type Blocks = (
  params: Params,
  stack: Stack,
  x: tf.Tensor,
  inputs: { readonly positions: tf.Tensor; readonly cache?: BodyCache | undefined },
) => BodyOutput;

/** Runs a stack of blocks: x [R, L, D] → hidden [R, L, D]. */
function blockStack(config: Magvit2ArConfig, sizes: ReturnType<typeof magvit2ArSizes>, weight: Weight): Blocks {
  const { dim: width, n_head: heads } = config;
  const table = ropeTable2d(sizes.grid, sizes.headDim, config.rope_base ?? 10000, 1);
  const spread = spreadRopeTable(table, sizes.headDim);
  const rows = spread.length / (2 * sizes.headDim);
  return (params, stack, x, { positions, cache }) => {
    const [, length] = expectShape("body", "x", x, ["R", "L", width]) as [number, number, number];
    const table = tf.tensor2d(spread, [rows, 2 * sizes.headDim]);
    const tables = ropeTables(table, positions, { heads, keyHeads: sizes.keyHeads });
    const own = causalMask(positions, { group: heads / sizes.keyHeads });
    const output: BodyOutput = { hidden: x, keys: [], values: [] };
    let h = tf.reshape(x, [-1, width]) as tf.Tensor2D; // [N, D]
    for (const [layer, cached] of layerCaches(cache, stack.layers).entries()) {
      const inputs = { tables, length, own, cache: cached };
      const block = llamaGenBlock(config, sizes, (name) => weight(params, `${stack.name}.${layer}.${name}`), h, inputs);
      h = block.hidden;
      output.keys.push(block.keys);
      output.values.push(block.values);
    }
    return { ...output, hidden: tf.reshape(h, [-1, length, width]) };
  };
}

/** Logits of sub-tokens 0 … known.length: hidden [N, D] → [N, V_f] each. */
function factorHeads(config: Magvit2ArConfig, blocks: Blocks, weight: Weight) {
  const { dim: width, norm_eps: epsilon = 1e-5 } = config;
  return (params: Params, hidden: tf.Tensor, known: readonly tf.Tensor[]): tf.Tensor[] => {
    const members = [hidden, ...known.map((codes) => embed(weight(params, "pre_emb.weight"), codes))];
    // The pair has the rotary rows of the first two positions of the image, as in the original.
    const positions = tf.range(0, members.length, 1, "int32");
    const pair = blocks(params, factorized(config), tf.stack(members, 1), { positions }).hidden; // [N, 1 or 2, D]
    const normed = rmsNorm(tf.reshape(pair, [-1, width]) as tf.Tensor2D, weight(params, "norm.weight"), epsilon);
    const each = tf.unstack(tf.reshape(normed, [-1, members.length, width]), 1); // [N, D]
    return each.map((state, factor) => linear(state, weight(params, `head.${factor}.weight`)));
  };
}
