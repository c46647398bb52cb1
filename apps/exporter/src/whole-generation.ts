import { type Condition, joinTokens, type TensorARModel } from "@tensorar/model";
import { type ModelFolder, modelOf } from "@tensorar/model/node";
import { PAD } from "@tensorar/noise";
import { type ComposedModel, composeLoop, type TensorSpec, type TraceOptions, trace } from "@tensorar/onnx";
import type { PerFactor } from "@tensorar/sampler";
import { createTokenizer, type TokenizerKind } from "@tensorar/tokenizer";
import type { TokenizerFolder } from "@tensorar/tokenizer/node";
import * as tf from "@tensorflow/tfjs-core";
import { draw, guided, type Ramp, scalesAt } from "./draw-graph";
import { TensorARError } from "./errors";
import { conditionInputs, mapParts, tensorsOf, withoutUnusedInputs } from "./functions";
import { generationUniforms } from "./philox-graph";
import type { SourceSizes } from "./sources";
import { unconditionalOf } from "./unconditional";

// B images · T tokens · k window · F sub-tokens of a token · V codes · H heads · Dh head width · D width
// S slots of the cache · L slots of a step, C of the condition at first, then 1 · rows 2 B: with and without the condition

/** How codes are drawn, fixed in the graph. Lists have one value for each sub-token of a code. */
export interface WholeOptions {
  /** Keep the K most likely codes; 0 keeps all. */
  readonly topK: PerFactor<number>;
  /** Keep the most likely codes up to this probability; 1 keeps all. */
  readonly topP: PerFactor<number>;
  /** How guidance changes from step to step; default constant. */
  readonly guidance?: Ramp;
}

/** @throws TensorARError when a list has not one value for each sub-token */
export function checkWhole(options: WholeOptions, { factors = [0] }: Pick<SourceSizes, "factors">): void {
  for (const name of ["topK", "topP"] as const) {
    const value = options[name];
    if (typeof value === "number" || value.length === factors.length) continue;
    throw new TensorARError(
      `${value.length} values of ${name} for ${factors.length} sub-tokens; give one, or one for each`,
    );
  }
}

interface State {
  readonly codes: tf.Tensor;
  /** [B, 2, L, D]: slots to run next */
  readonly x: tf.Tensor;
  /** [L] */
  readonly positions: tf.Tensor;
  /** [B, 2, L], where conditions may be padded */
  readonly own?: tf.Tensor;
  /** [B, 2, S], or [1, 1, S] where conditions are never padded */
  readonly mask: tf.Tensor;
  readonly keys: readonly tf.Tensor[];
  readonly values: readonly tf.Tensor[];
}

interface BodyInputs extends Readonly<Record<"step" | "scale" | "temperature", tf.Tensor>> {
  readonly state: State;
  readonly fixed: { readonly uniforms: tf.Tensor; readonly condition: Condition };
}

const HIDDEN = -1e9;
/** [B, 2, …] → [rows, …]: an image's two rows lie side by side. */
const merged = (x: tf.Tensor): tf.Tensor => tf.reshape(x, [-1, ...x.shape.slice(2)]);
/** [rows, …] → [B, 2, …] */
const apart = (x: tf.Tensor): tf.Tensor => tf.reshape(x, [-1, 2, ...x.shape.slice(1)]);
/** [B, …] → [B, 2, …]: both rows are the same. */
const twice = (x: tf.Tensor): tf.Tensor => tf.stack([x, x], 1);

/**
 * All of generation as one graph: the loop over tokens, guidance, filters, random numbers, drafts and the image decoder. Inputs:
 * the model's `condition`, `seed` and `index` int32 [B] (image `index` of the run of a seed), `scale` and
 * `temperature` float32 [B], or [B, F] with F sub-tokens. Outputs: `codes` int32 [B, T] and `images` float32 [B, height,
 * width, 3]. Codes are those of `generate` of `@tensorar/sampler` with these settings and raw drafts, up to float32.
 *
 * The first step runs the condition's slots, every other one the slot of the tensor before it, with the same nodes and weights.
 * The cache grows step by step, so a step reads only what is filled; slot 0 is a dummy that the mask hides.
 *
 * @throws TensorARError for models that can't be guided
 */
export function wholeGeneration(
  folder: ModelFolder,
  tokenizerFolder: TokenizerFolder<TokenizerKind>,
  sizes: SourceSizes,
  options: WholeOptions,
  form: Pick<TraceOptions, "fuse" | "quantize">,
): ComposedModel {
  const model = modelOf(folder) as unknown as TensorARModel<Condition>;
  const { tokens: T } = model.backbone;
  const params = tensorsOf(folder.tensors);
  const pixels = tensorsOf(tokenizerFolder.tensors);
  const tokenizer = createTokenizer(tokenizerFolder);
  const unconditional = unconditionalOf(folder);
  const specs = loopSpecs(model, sizes);
  const ofModel = { weights: params, ...form };
  const before = (inputs: FirstInputs) => firstState(model, params, unconditional, inputs);
  const body = (inputs: BodyInputs) => ({ state: nextState(model, params, options, inputs) });
  const after = ({ final: { codes } }: { final: { codes: tf.Tensor } }) => ({
    codes: tf.mul(codes, tf.scalar(1, "int32")),
    images: tokenizer.decode(pixels, codes as tf.Tensor2D, sizes.grid),
  });
  try {
    return composeLoop("generation", {
      before: trace(before as never, specs.before as never, ofModel),
      body: withoutUnusedInputs(trace(body as never, specs.body as never, ofModel), "fixed/"),
      after: trace(after as never, { final: { codes: specs.body.state.codes } } as never, {
        weights: { "image-decoder": pixels },
        ...(form.fuse && { fuse: form.fuse }),
      }),
      trips: T,
    });
  } finally {
    tf.dispose([params, pixels]);
  }
}

/** What the parts of the loop take. */
function loopSpecs({ backbone, windowSize: k }: TensorARModel<Condition>, sizes: SourceSizes) {
  const { tokens: T, width, conditionSlots, factors } = backbone;
  const { layers, heads: H, headDim: Dh } = backbone.cache;
  const int = (...shape: (number | string)[]): TensorSpec => ({ dtype: "int32", shape });
  const float = (...shape: (number | string)[]): TensorSpec => ({ dtype: "float32", shape });
  const each = (spec: TensorSpec): TensorSpec[] => Array.from({ length: layers }, () => spec);
  const L = conditionSlots === 1 ? 1 : "new"; // the usual case needs no free dimension
  const padded = backbone.conditionMask !== undefined;
  const condition = conditionInputs(sizes);
  const F = factors?.sizes.length ?? 1;
  const perFactor = factors ? [F] : [];
  const rows = mapParts(condition, ({ dtype, shape: [batch, ...rest] }: TensorSpec) => ({
    ...{ dtype, shape: [batch!, 2, ...rest] },
  }));
  return {
    before: { condition, seed: int("batch"), index: int("batch") },
    body: {
      state: {
        codes: int("batch", T),
        x: float("batch", 2, L, width),
        positions: int(L),
        ...(padded && { own: float("batch", 2, L) }),
        mask: padded ? float("batch", 2, "slots") : float(1, 1, "slots"),
        keys: each(float("batch", 2, H, "slots", Dh)),
        values: each(float("batch", 2, H, "slots", Dh)),
      },
      fixed: { uniforms: float("batch", T, F * k), condition: rows },
      step: int(1),
      scale: float("batch", ...perFactor),
      temperature: float("batch", ...perFactor),
    },
  };
}

interface FirstInputs {
  readonly condition: Condition;
  readonly seed: tf.Tensor;
  readonly index: tf.Tensor;
}

/** The condition's slots, and an empty cache. */
function firstState(
  { backbone, windowSize, embedPrefix }: TensorARModel<Condition>,
  params: Record<string, tf.Tensor>,
  unconditional: (condition: Condition) => Condition,
  { condition, seed, index }: FirstInputs,
): { initial: State; fixed: BodyInputs["fixed"] } {
  const { layers, heads: H, headDim: Dh } = backbone.cache;
  const none = unconditional(condition);
  const both = mapParts(condition, (part: tf.Tensor, name) =>
    tf.stack([part, name === undefined ? (none as tf.Tensor) : (none as Record<string, tf.Tensor>)[name]!], 1),
  );
  const { x, positions, mask } = embedPrefix(params, mapParts(both, merged));
  const zero = tf.mul(tf.cast(seed, "float32"), 0); // [B]
  const zeros = (...shape: number[]) => tf.add(tf.reshape(zero, [-1, ...shape.map(() => 1)]), tf.zeros([1, ...shape]));
  const perLayer = (...shape: number[]) => Array.from({ length: layers }, () => zeros(...shape));
  const padded = backbone.conditionMask !== undefined;
  const sizes = { tokens: backbone.tokens, windowSize, factors: backbone.factors?.sizes.length ?? 1 };
  return {
    initial: {
      codes: tf.cast(zeros(backbone.tokens), "int32"),
      ...{ x: apart(x), positions, ...(padded && { own: apart(mask) }) },
      mask: padded ? tf.add(zeros(2, 1), HIDDEN) : tf.fill([1, 1, 1], HIDDEN),
      ...{ keys: perLayer(2, H, 1, Dh), values: perLayer(2, H, 1, Dh) },
    },
    fixed: { uniforms: generationUniforms(seed, index, sizes), condition: both },
  };
}

/** Runs the slots, draws the next token and its drafts, and embeds them. */
function nextState(
  model: TensorARModel<Condition>,
  params: Record<string, tf.Tensor>,
  options: WholeOptions,
  { state, fixed, ...inputs }: BodyInputs,
): State {
  const { backbone, windowSize: k } = model;
  const { own } = state;
  const [T, length] = [backbone.tokens, state.positions.shape[0]!];
  const mask = own === undefined ? tf.squeeze(state.mask, [1]) : merged(state.mask); // [1 or rows, S]
  const outputs = model.advance(params, {
    ...{ x: merged(state.x), positions: state.positions, mask: own && merged(own) },
    condition: mapParts(fixed.condition, merged),
    cache: { keys: state.keys.map(merged), values: state.values.map(merged), mask },
  });
  const uniforms = tf.squeeze(tf.gather(fixed.uniforms, inputs.step as tf.Tensor1D, 1), [1]); // [B, F · k]
  const drawn = drawTokens(model, params, options, outputs, { ...inputs, uniforms }); // [B, k]
  const places = tf.add(tf.range(0, k, 1, "int32"), inputs.step); // [k]
  const inside = tf.cast(tf.less(places, tf.scalar(T, "int32")), "int32");
  const pad = tf.mul(tf.sub(tf.scalar(1, "int32"), inside), tf.scalar(PAD, "int32"));
  const window = tf.add(tf.mul(drawn, inside), pad); // [B, k]
  const here = tf.cast(tf.equal(tf.range(0, T, 1, "int32"), inputs.step), "int32"); // [T]
  const final = tf.slice(drawn, [0, 0], [-1, 1]); // [B, 1]
  const added = own ?? tf.zeros([1, 1, length]);
  return {
    codes: tf.add(state.codes, tf.mul(final, here)),
    x: twice(model.embedWindows(params, tf.expandDims(window, 1))), // [B, 2, 1, D]
    positions: tf.add(tf.slice(state.positions, [length - 1], [1]), tf.scalar(1, "int32")),
    ...(own && { own: tf.mul(tf.slice(own, [0, 0, 0], [-1, -1, 1]), 0) }),
    mask: tf.concat([state.mask, added], 2),
    keys: state.keys.map((keys, layer) => tf.concat([keys, apart(outputs.keys[layer]!)], 3)),
    values: state.values.map((values, layer) => tf.concat([values, apart(outputs.values[layer]!)], 3)),
  };
}

/** Codes of the next tensor, int32 [B, k]: sub-tokens one after the other, each with guidance and filters of its own. */
function drawTokens(
  model: TensorARModel<Condition>,
  params: Record<string, tf.Tensor>,
  { topK, topP, guidance = { kind: "constant" } }: WholeOptions,
  outputs: ReturnType<TensorARModel["advance"]>,
  { step, scale, temperature, uniforms }: Readonly<Record<"step" | "scale" | "temperature" | "uniforms", tf.Tensor>>,
): tf.Tensor {
  const { backbone, windowSize: k } = model;
  const { factors } = backbone;
  const sizes = factors?.sizes ?? [backbone.vocabSize];
  const own = (x: tf.Tensor, factor: number): tf.Tensor =>
    factors ? tf.squeeze(tf.gather(x, tf.tensor1d([factor], "int32"), x.rank - 1), [x.rank - 1]) : x;
  const nth = (value: PerFactor<number>, factor: number): number =>
    typeof value === "number" ? value : value[factor]!;
  const uniformsOf = tf.split(uniforms, sizes.length, 1); // [B, k] each
  const drawn: tf.Tensor[] = [];
  for (const [factor, V] of sizes.entries()) {
    const known = drawn.map((each) => merged(twice(each))); // [rows, k]
    const logits = factor === 0 ? outputs.logits : model.nextFactor(params, { states: outputs.states!, known });
    const scales = own(scale, factor); // [B]
    const mixed = guided(tf.reshape(logits, [-1, 2, k, V]), scales, scalesAt(guidance, scales, step, backbone.tokens));
    const filter = { topK: nth(topK, factor), topP: nth(topP, factor) };
    drawn.push(draw(mixed, uniformsOf[factor]!, own(temperature, factor), filter));
  }
  return factors ? joinTokens(drawn, sizes) : drawn[0]!;
}
