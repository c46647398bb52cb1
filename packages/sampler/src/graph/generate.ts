import { MASK_VALUE } from "@tensorar/core";
import { type Condition, joinTokens, type Params, type TensorARModel } from "@tensorar/model";
import { PAD } from "@tensorar/noise";
import * as tf from "@tensorflow/tfjs-core";
import type { PerFactor } from "../generate";
import { type Unconditional, zipConditions } from "./conditioning";
import { disturbDrafts, type GraphDrafts, sampleTensor } from "./drafts";
import { type GraphGuidance, mixGuided, scalesAt } from "./guidance";
import { draftNoise, generationUniforms } from "./random";

// The loop of `../generate` as tensors: its beginning, one step, and what is done every few steps.
// B images · T tokens · k window · F sub-tokens of a token · V codes · H heads · Dh head width · D width
// L positions of a step, C of the condition at first, then 1 · rows 2 B: with and without the condition

/** How codes are drawn, fixed in the graph. Lists have one value for each sub-token of a code. */
export interface GraphSampling {
  /** Keep the K most likely codes; 0 keeps all. */
  readonly topK: PerFactor<number>;
  /** Keep the most likely codes up to this probability; 1 keeps all. */
  readonly topP: PerFactor<number>;
  /** How guidance changes from step to step; default constant. */
  readonly guidance?: GraphGuidance;
  /** What becomes of drafts before they are fed back; default raw. */
  readonly drafts?: GraphDrafts;
}

/** Slots of the cache. */
export interface CachedSlots {
  /** [rows, slots], or [1, slots] where conditions are never padded */
  readonly mask: tf.Tensor;
  /** [rows, H, slots, Dh], one per layer */
  readonly keys: readonly tf.Tensor[];
  readonly values: readonly tf.Tensor[];
}

/** Its slots are all of the cache, or the recent ones. */
export interface State extends CachedSlots {
  readonly codes: tf.Tensor;
  /** [rows, L, D]: slots to run next */
  readonly x: tf.Tensor;
  /** [L] */
  readonly positions: tf.Tensor;
  /** [rows, L], where conditions may be padded */
  readonly own?: tf.Tensor;
}

export interface BodyInputs extends Readonly<Record<"step" | "scale" | "temperature", tf.Tensor>> {
  readonly state: State;
  /** Slots before those of the state, where it holds but the recent ones. */
  readonly held?: CachedSlots;
  readonly fixed: {
    readonly uniforms: tf.Tensor;
    /** [B, T, k-1] each, where drafts are replaced */
    readonly noise?: ReturnType<typeof draftNoise>;
    /** Left out where it is a prompt of any length, which no layer reads. */
    readonly condition?: Condition;
  };
}

/** Two of [B, …] → [rows, …]: an image's two rows lie side by side. */
const rowsOf = (first: tf.Tensor, second: tf.Tensor): tf.Tensor =>
  tf.reshape(tf.stack([first, second], 1), [-1, ...first.shape.slice(1)]);
/** [B, …] → [rows, …]: both rows are the same. */
const twice = (x: tf.Tensor): tf.Tensor => rowsOf(x, x);

export interface FirstInputs {
  readonly condition: Condition;
  readonly seed: tf.Tensor;
  readonly index: tf.Tensor;
}

/** The condition's slots, and an empty cache. */
export function firstState(
  { backbone, windowSize, embedPrefix }: TensorARModel<Condition>,
  params: Params,
  loop: {
    readonly unconditional: Unconditional;
    readonly rates: readonly number[] | undefined;
    readonly flushes: boolean;
  },
  { condition, seed, index }: FirstInputs,
): { initial: State; empty?: CachedSlots; fixed: BodyInputs["fixed"] } {
  const { layers, heads: H, headDim: Dh } = backbone.cache;
  const both = zipConditions(condition, loop.unconditional(condition), rowsOf);
  const { x, positions, mask } = embedPrefix(params, both);
  const zero = tf.mul(tf.cast(seed, "float32"), 0); // [B]
  const zeros = (...shape: number[]) => tf.add(tf.reshape(zero, [-1, ...shape.map(() => 1)]), tf.zeros([1, ...shape]));
  const noRows = (...shape: number[]) => twice(zeros(...shape)); // [rows, …]
  const perLayer = () => Array.from({ length: layers }, () => noRows(H, 1, Dh));
  const padded = backbone.conditionMask !== undefined;
  const { tokens, vocabSize, factors } = backbone;
  const dummy = (): CachedSlots => ({
    mask: padded ? tf.add(noRows(1), MASK_VALUE) : tf.fill([1, 1], MASK_VALUE),
    ...{ keys: perLayer(), values: perLayer() },
  });
  return {
    initial: {
      codes: tf.cast(zeros(tokens), "int32"),
      ...{ x, positions, ...(padded && { own: mask }) },
      ...dummy(),
    },
    ...(loop.flushes && { empty: dummy() }),
    fixed: {
      uniforms: generationUniforms(seed, index, { tokens, windowSize, factors: factors?.sizes.length ?? 1 }),
      ...(loop.rates && { noise: draftNoise(seed, index, { tokens, windowSize, vocabSize }) }),
      condition: both,
    },
  };
}

/** Runs the slots, draws the next token and its drafts, and embeds them. */
export function nextState(
  model: TensorARModel<Condition>,
  params: Params,
  options: GraphSampling,
  rates: readonly number[] | undefined,
  { state, held, fixed, ...inputs }: BodyInputs,
): State {
  const { backbone, windowSize: k } = model;
  const { own } = state;
  const [T, length] = [backbone.tokens, state.positions.shape[0]!];
  const outputs = model.advance(params, {
    ...{ x: state.x, positions: state.positions, mask: own },
    condition: fixed.condition as Condition,
    cache: held ? { ...held, recent: state } : state,
  });
  const ofStep = (x: tf.Tensor) => tf.squeeze(tf.gather(x, inputs.step as tf.Tensor1D, 1), [1]); // [B, T, …] → [B, …]
  const uniforms = ofStep(fixed.uniforms); // [B, F · k]
  const drawn = drawTokens(model, params, options, outputs, { ...inputs, uniforms }); // [B, k]
  const { noise } = fixed;
  const fed =
    rates && noise
      ? disturbDrafts(drawn, { chances: ofStep(noise.chances), codes: ofStep(noise.codes) }, rates)
      : drawn;
  const places = tf.add(tf.range(0, k, 1, "int32"), inputs.step); // [k]
  const inside = tf.cast(tf.less(places, tf.scalar(T, "int32")), "int32");
  const pad = tf.mul(tf.sub(tf.scalar(1, "int32"), inside), tf.scalar(PAD, "int32"));
  const window = tf.add(tf.mul(fed, inside), pad); // [B, k]
  const here = tf.cast(tf.equal(tf.range(0, T, 1, "int32"), inputs.step), "int32"); // [T]
  const final = tf.slice(drawn, [0, 0], [-1, 1]); // [B, 1]
  const added = own ?? tf.zeros([1, length]);
  return {
    codes: tf.add(state.codes, tf.mul(final, here)),
    x: twice(model.embedWindows(params, tf.expandDims(window, 1))), // [rows, 1, D]
    positions: tf.add(tf.slice(state.positions, [length - 1], [1]), tf.scalar(1, "int32")),
    ...(own && { own: tf.mul(tf.slice(own, [0, 0], [-1, 1]), 0) }),
    mask: tf.concat([state.mask, added], 1),
    // Joined as attention has joined them, so that a graph does it once.
    keys: state.keys.map((keys, layer) => tf.concat([keys, outputs.keys[layer]!], 2)),
    values: state.values.map((values, layer) => tf.concat([values, outputs.values[layer]!], 2)),
  };
}

/** Recent slots join the others; the last remains, since no tensor is to be empty. */
export function flush(ended: CachedSlots, held: CachedSlots): { held: CachedSlots; begin: CachedSlots } {
  const axes = { mask: 1, keys: 2, values: 2 } as const;
  const part = (x: tf.Tensor, axis: number, start: number, size: number): tf.Tensor =>
    tf.slice(x, x.shape.map((_, i) => (i === axis ? start : 0)), x.shape.map((_, i) => (i === axis ? size : -1))); // biome-ignore format: one line
  const older = (x: tf.Tensor, axis: number) => part(x, axis, 0, x.shape[axis]! - 1);
  const newest = (x: tf.Tensor, axis: number) => part(x, axis, x.shape[axis]! - 1, 1);
  const { mask, keys, values } = axes;
  return {
    held: {
      mask: tf.concat([held.mask, older(ended.mask, mask)], mask),
      keys: held.keys.map((each, layer) => tf.concat([each, older(ended.keys[layer]!, keys)], keys)),
      values: held.values.map((each, layer) => tf.concat([each, older(ended.values[layer]!, values)], values)),
    },
    begin: {
      mask: newest(ended.mask, mask),
      keys: ended.keys.map((each) => newest(each, keys)),
      values: ended.values.map((each) => newest(each, values)),
    },
  };
}

/** Codes of the next tensor, int32 [B, k]: sub-tokens one after the other, each with guidance and filters of its own. */
function drawTokens(
  model: TensorARModel<Condition>,
  params: Params,
  { topK, topP, guidance = { kind: "constant" }, drafts = { kind: "raw" } }: GraphSampling,
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
    const known = drawn.map((each) => twice(each)); // [rows, k]
    const logits = factor === 0 ? outputs.logits : model.nextFactor(params, { states: outputs.states!, known });
    const scales = own(scale, factor); // [B]
    const mixed = mixGuided(
      tf.reshape(logits, [-1, 2, k, V]),
      scales,
      scalesAt(guidance, scales, step, backbone.tokens),
    );
    const filter = { topK: nth(topK, factor), topP: nth(topP, factor) };
    drawn.push(sampleTensor(mixed, uniformsOf[factor]!, own(temperature, factor), filter, drafts));
  }
  return factors ? joinTokens(drawn, sizes) : drawn[0]!;
}
