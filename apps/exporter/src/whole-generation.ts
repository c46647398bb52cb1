import { sampleFromLogits, type TensorARModel } from "@tensorar/model";
import { type ModelFolder, modelOf } from "@tensorar/model/node";
import { PAD } from "@tensorar/noise";
import { type ComposedModel, composeLoop, type TensorSpec, trace } from "@tensorar/onnx";
import { createTokenizer, type TokenizerKind } from "@tensorar/tokenizer";
import type { TokenizerFolder } from "@tensorar/tokenizer/node";
import * as tf from "@tensorflow/tfjs-core";
import { TensorARError } from "./errors";
import { tensorsOf } from "./functions";
import { generationUniforms } from "./philox-graph";
import type { SourceSizes } from "./sources";

// B images · T tokens · k window · V codes · H heads · Dh head width · S slots of the cache · rows 2 B: with and without class

/** How codes are drawn, fixed in the graph. */
export interface WholeOptions {
  /** Keep the K most likely codes; 0 keeps all. */
  readonly topK: number;
  /** Keep the most likely codes up to this probability; 1 keeps all. */
  readonly topP: number;
}

const HIDDEN = -1e9;
/** Below every logit, so that what is filtered has no weight. */
const NEVER = -1e30;

/**
 * All of generation as one graph: the loop over tokens, guidance, filters, random numbers, drafts and the image decoder. Inputs:
 * `condition`, `seed` and `index` int32 [B] (image `index` of the run of a seed), `scale` float32 [B] and `temperature` float32 [];
 * outputs: `codes` int32 [B, T] and `images` float32 [B, height, width, 3]. Codes are those of `generate` of
 * `@tensorar/sampler` with these settings, constant guidance and raw drafts, up to float32.
 *
 * The cache grows by a slot a step, so a step reads only what is filled; slot 0 is a dummy that the mask hides.
 *
 * @throws TensorARError for models whose condition is no single class, or whose tokens have sub-tokens
 */
export function wholeGeneration(
  folder: ModelFolder,
  tokenizerFolder: TokenizerFolder<TokenizerKind>,
  sizes: SourceSizes,
  { topK, topP }: WholeOptions,
): ComposedModel {
  const model = modelOf(folder) as TensorARModel;
  const { tokens: T, vocabSize: V, conditionSlots, nullCondition, factors, cache } = model.backbone;
  const k = model.windowSize;
  if (conditionSlots !== 1 || factors !== undefined || nullCondition < 0)
    throw new TensorARError(
      "a whole-generation graph is for models of one class slot with a null class; export steps instead",
    );
  const { layers, heads: H, headDim: Dh } = cache;
  const params = tensorsOf(folder.tensors);
  const pixels = tensorsOf(tokenizerFolder.tensors);
  const tokenizer = createTokenizer(tokenizerFolder);
  const each = (spec: TensorSpec): TensorSpec[] => Array.from({ length: layers }, () => spec);
  const perImage = (dtype: TensorSpec["dtype"]): TensorSpec => ({ dtype, shape: ["batch"] });

  const before = (inputs: Record<string, tf.Tensor>) => {
    const zero = tf.mul(tf.cast(inputs.condition!, "float32"), 0); // [B]
    const zeros = (...shape: number[]) =>
      tf.add(tf.reshape(zero, [-1, ...shape.map(() => 1)]), tf.zeros([1, ...shape]));
    const perLayer = (...shape: number[]) => Array.from({ length: layers }, () => zeros(...shape));
    return {
      initial: {
        codes: tf.cast(zeros(T), "int32"),
        window: tf.cast(zeros(k), "int32"),
        uniforms: generationUniforms(inputs.seed!, inputs.index!, T, k), // [B, T, k]
        mask: tf.fill([1, 1], HIDDEN),
        keys: perLayer(2, H, Dh, 1),
        values: perLayer(2, H, 1, Dh),
      },
    };
  };

  interface State {
    readonly codes: tf.Tensor;
    readonly window: tf.Tensor;
    readonly uniforms: tf.Tensor;
    readonly mask: tf.Tensor;
    readonly keys: readonly tf.Tensor[];
    readonly values: readonly tf.Tensor[];
  }
  const body = ({ state, step, condition, scale, temperature }: { state: State } & Record<string, tf.Tensor>) => {
    const nobody = tf.add(tf.mul(condition!, tf.scalar(0, "int32")), tf.scalar(nullCondition, "int32"));
    const both = tf.reshape(tf.stack([condition!, nobody], 1), [-1]); // [rows]: an image's two rows lie side by side
    const windows = tf.reshape(tf.stack([state.window, state.window], 1), [-1, k]); // [rows, k]
    const merged = (x: tf.Tensor) => tf.reshape(x, [-1, ...x.shape.slice(2)]); // [B, 2, …] → [rows, …]
    const outputs = model.decode(params, {
      ...{ condition: both, window: windows, position: step!, mask: state.mask },
      ...{ keys: state.keys.map(merged), values: state.values.map(merged) },
    });
    const logits = guided(tf.reshape(outputs.logits, [-1, 2, k, V]), scale!); // [B, k, V]
    const uniforms = tf.squeeze(tf.gather(state.uniforms, step as tf.Tensor1D, 1), [1]); // [B, k]
    const drawn = draw(logits, uniforms, temperature!, { topK, topP }); // [B, k]
    const final = tf.slice(drawn, [0, 0], [-1, 1]); // [B, 1]
    const places = tf.add(tf.range(0, k, 1, "int32"), step!); // [k]
    const inside = tf.cast(tf.less(places, tf.scalar(T, "int32")), "int32");
    const pad = tf.mul(tf.sub(tf.scalar(1, "int32"), inside), tf.scalar(PAD, "int32"));
    const here = tf.cast(tf.equal(tf.range(0, T, 1, "int32"), step!), "int32"); // [T]
    const apart = (x: tf.Tensor) => tf.reshape(x, [-1, 2, ...x.shape.slice(1)]); // [rows, …] → [B, 2, …]
    return {
      state: {
        codes: tf.add(state.codes, tf.mul(final, here)),
        window: tf.add(tf.mul(drawn, inside), pad),
        uniforms: tf.mul(state.uniforms, 1),
        mask: tf.concat([state.mask, tf.zeros([1, 1])], 1),
        keys: state.keys.map((keys, layer) => tf.concat([keys, apart(outputs.keys[layer]!)], 4)),
        values: state.values.map((values, layer) => tf.concat([values, apart(outputs.values[layer]!)], 3)),
      },
    };
  };

  const after = ({ final }: { final: { codes: tf.Tensor } }) => ({
    codes: tf.mul(final.codes, tf.scalar(1, "int32")),
    images: tokenizer.decode(pixels, final.codes as tf.Tensor2D, sizes.grid),
  });

  const whole = {
    condition: perImage("int32"),
    scale: perImage("float32"),
    temperature: { dtype: "float32", shape: [] },
  } as const;
  const state = {
    codes: { dtype: "int32", shape: ["batch", T] },
    window: { dtype: "int32", shape: ["batch", k] },
    uniforms: { dtype: "float32", shape: ["batch", T, k] },
    mask: { dtype: "float32", shape: [1, "slots"] },
    keys: each({ dtype: "float32", shape: ["batch", 2, H, Dh, "slots"] }),
    values: each({ dtype: "float32", shape: ["batch", 2, H, "slots", Dh] }),
  } as const;
  const step = { dtype: "int32", shape: [1] } as const;
  try {
    return composeLoop("generation", {
      before: trace(
        before as never,
        { condition: whole.condition, seed: perImage("int32"), index: perImage("int32") } as never,
      ),
      body: trace(body as never, { state, step, ...whole } as never, { weights: params }),
      after: trace(after as never, { final: { codes: state.codes } } as never, { weights: pixels }),
      trips: T,
    });
  } finally {
    tf.dispose([params, pixels]);
  }
}

/** [B, 2, k, V] with and without the class → [B, k, V]; a scale of at most 1 leaves the class's own. */
function guided(logits: tf.Tensor, scale: tf.Tensor): tf.Tensor {
  const [withClass, without] = tf.unstack(logits, 1) as [tf.Tensor, tf.Tensor];
  const strength = tf.reshape(scale, [-1, 1, 1]);
  const guides = tf.cast(tf.greater(strength, 1), "float32");
  const mixed = tf.add(without, tf.mul(tf.sub(withClass, without), strength));
  return tf.add(tf.mul(mixed, guides), tf.mul(withClass, tf.sub(1, guides))); // exact: one of the two is 0
}

/** Entry 0 with temperature and filters, drafts as they are: [B, k, V] → int32 [B, k]. */
function draw(logits: tf.Tensor, uniforms: tf.Tensor, temperature: tf.Tensor, { topK, topP }: WholeOptions): tf.Tensor {
  const [, k, V] = logits.shape as [number, number, number];
  const first = tf.div(tf.slice(logits, [0, 0, 0], [-1, 1, V]), temperature); // [B, 1, V]
  const kept = nucleus(mostLikely(first, topK), topP);
  const rows = k === 1 ? kept : tf.concat([kept, tf.slice(logits, [0, 1, 0], [-1, k - 1, V])], 1);
  return sampleFromLogits(rows, uniforms);
}

function mostLikely(logits: tf.Tensor, topK: number): tf.Tensor {
  const V = logits.shape.at(-1)!;
  if (topK === 0 || topK >= V) return logits;
  const least = tf.slice(tf.topk(logits, topK).values, [0, 0, topK - 1], [-1, -1, 1]);
  return without(logits, tf.less(logits, least));
}

/** Keeps the fewest codes, largest first, that add up to more than `topP`. */
function nucleus(logits: tf.Tensor, topP: number): tf.Tensor {
  if (topP >= 1) return logits;
  const { values } = tf.topk(logits, logits.shape.at(-1)!);
  const probabilities = tf.softmax(values);
  const beforeEach = tf.sub(tf.cumsum(probabilities, 2), probabilities);
  const dropped = tf.mul(tf.cast(tf.greater(beforeEach, topP), "float32"), -NEVER);
  const least = tf.min(tf.add(values, dropped), -1, true); // the smallest logit that is kept
  return without(logits, tf.less(logits, least));
}

const without = (logits: tf.Tensor, dropped: tf.Tensor): tf.Tensor =>
  tf.add(logits, tf.mul(tf.cast(dropped, "float32"), NEVER));
