import { MASK_VALUE } from "@tensorar/core";
import { type Condition, joinTokens, type Params, type TensorARModel } from "@tensorar/model";
import { PAD } from "@tensorar/noise";
import * as tf from "@tensorflow/tfjs-core";
import type { Draws } from "../draw";
import type { PerFactor } from "../options";
import { type Unconditional, zipConditions } from "./conditioning";
import { blankDrafts, type DrawNumbers, disturbDrafts, type GraphDrafts, sampleTensor } from "./drafts";
import { type GraphGuidance, mixGuided, scalesAt } from "./guidance";
import { addWindow, leaveOneOut, noViews } from "./leave-one-out";
import { generationNumbers, gumbels } from "./random";

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
  /** λ of `LeaveOneOut`, 0 … 1, with the rates and the evidence of the model; default: as the model's logits are. */
  readonly leaveOneOut?: number;
  /** Which random numbers codes are drawn with; default `"step"`. Those of positions take a while: V are made for every draw. */
  readonly draws?: Draws;
}

/** Positions of the cache: tensors, or what stands for them. */
export type Cached<T> = {
  /** [rows, positions], or [1, positions] where conditions are never padded */
  readonly mask: T;
  /** [rows, H, positions, Dh], one per layer */
  readonly keys: readonly T[];
  readonly values: readonly T[];
};

/** What goes from step to step. Its positions are all of the cache, or the recent ones. */
export type Carry<T> = Cached<T> & {
  /** int32 [B, T]; 0 where none is drawn yet */
  readonly codes: T;
  /** [rows, L, D]: positions to run next */
  readonly x: T;
  /** [L] */
  readonly positions: T;
  /** int32 [B, k-1, k]: what the model was shown at the last k-1 steps, where some of it is taken back */
  readonly views?: T;
  /** The mask of these, [rows, L], where conditions may be padded */
  readonly own?: T;
};

/** What stays as it is. @typeParam C a condition */
export type Invariants<T, C> = {
  /** Of draws by step: [B, T, F · k]. */
  readonly uniforms?: T;
  /** Of draws by position: int32 [B] each. */
  readonly images?: { readonly seed: T; readonly index: T };
  /** [B, T, k-1] each, where drafts are replaced */
  readonly noise?: { readonly chances: T; readonly codes: T };
  readonly condition: C;
};

export interface StepInputs extends Readonly<Record<"step" | "scale" | "temperature", tf.Tensor>> {
  readonly carry: Carry<tf.Tensor>;
  /** Positions before those of the carry, where it holds but the recent ones. */
  readonly committed?: Cached<tf.Tensor>;
  readonly invariants: Invariants<tf.Tensor, Condition>;
}

/** Two of [B, …] → [rows, …]: an image's two rows lie side by side. */
const rowsOf = (first: tf.Tensor, second: tf.Tensor): tf.Tensor =>
  tf.reshape(tf.stack([first, second], 1), [-1, ...first.shape.slice(1)]);
/** [B, …] → [rows, …]: both rows are the same. */
const twice = (x: tf.Tensor): tf.Tensor => rowsOf(x, x);

/** The condition's positions, and an empty cache. */
export function begin(
  { backbone, windowSize, embedPrefix }: TensorARModel<Condition>,
  params: Params,
  loop: {
    readonly unconditional: Unconditional;
    readonly rates: readonly number[] | undefined;
    readonly flushes: boolean;
    readonly draws: Draws;
    readonly viewAmounts: readonly number[];
  },
  { condition, seed, index }: { readonly condition: Condition } & Readonly<Record<"seed" | "index", tf.Tensor>>,
): { carry: Carry<tf.Tensor>; committed?: Cached<tf.Tensor>; invariants: Invariants<tf.Tensor, Condition> } {
  const both = zipConditions(condition, loop.unconditional(condition), rowsOf);
  const { x, positions, mask } = embedPrefix(params, both);
  const zero = tf.mul(tf.cast(seed, "float32"), 0); // [B]
  const zeros = (...shape: number[]) => tf.add(tf.reshape(zero, [-1, ...shape.map(() => 1)]), tf.zeros([1, ...shape]));
  const padded = backbone.conditionMask !== undefined;
  const { tokens, vocabSize } = backbone;
  const byPosition = loop.draws === "position";
  const factors = byPosition ? undefined : (backbone.factors?.sizes.length ?? 1);
  const dummy = () => maskedPosition(backbone, zeros);
  return {
    carry: {
      codes: tf.cast(zeros(tokens), "int32"),
      x,
      positions,
      ...(loop.viewAmounts.length > 0 && { views: noViews(zero, windowSize) }),
      ...(padded && { own: mask }),
      ...dummy(),
    },
    ...(loop.flushes && { committed: dummy() }),
    invariants: {
      ...(byPosition && { images: { seed, index } }),
      ...generationNumbers(seed, index, { tokens, windowSize, factors, noiseCodes: loop.rates && vocabSize }),
      condition: both,
    },
  };
}

/** A cache of one position that the mask hides, since no tensor is to be empty. @param zeros of [B, …] */
function maskedPosition(
  { cache: { layers, heads, headDim }, conditionMask }: TensorARModel<Condition>["backbone"],
  zeros: (...shape: number[]) => tf.Tensor,
): Cached<tf.Tensor> {
  const perLayer = () => Array.from({ length: layers }, () => twice(zeros(heads, 1, headDim)));
  return {
    mask: conditionMask ? tf.add(twice(zeros(1)), MASK_VALUE) : tf.fill([1, 1], MASK_VALUE),
    keys: perLayer(),
    values: perLayer(),
  };
}

/** Runs the positions, draws the next token and its drafts, and embeds them. */
export function step(
  model: TensorARModel<Condition>,
  params: Params,
  options: GraphSampling,
  { rates, viewAmounts }: { readonly rates: readonly number[] | undefined; readonly viewAmounts: readonly number[] },
  { carry, committed, invariants, ...inputs }: StepInputs,
): Carry<tf.Tensor> {
  const { own, views } = carry;
  const cache = committed ? { ...committed, recent: carry } : carry;
  const { x, positions } = carry;
  const outputs = model.advance(params, { x, positions, mask: own, condition: invariants.condition, cache });
  const ofStep = (x: tf.Tensor) => tf.squeeze(tf.gather(x, inputs.step as tf.Tensor1D, 1), [1]); // [B, T, …] → [B, …]
  const numbersOf = drawNumbers(model, inputs.step, invariants);
  const corrected = (logits: tf.Tensor) => (views ? leaveOneOut(logits, views, viewAmounts) : logits);
  const drawn = drawTokens(model, params, options, outputs, { numbersOf, corrected }, inputs); // [B, k]
  const { noise } = invariants;
  const replacements = noise && { chances: ofStep(noise.chances), codes: ofStep(noise.codes) };
  const fed = rates && replacements ? disturbDrafts(drawn, replacements, rates) : fedBack(drawn, options.drafts);
  const window = padBeyond(fed, inputs.step, model.backbone.tokens); // [B, k]
  const here = tf.cast(tf.equal(tf.range(0, model.backbone.tokens, 1, "int32"), inputs.step), "int32"); // [T]
  const final = tf.slice(drawn, [0, 0], [-1, 1]); // [B, 1]
  const length = positions.shape[0]!;
  const added = own ?? tf.zeros([1, length]);
  return {
    codes: tf.add(carry.codes, tf.mul(final, here)),
    x: twice(model.embedWindows(params, tf.expandDims(window, 1))), // [rows, 1, D]
    positions: tf.add(tf.slice(positions, [length - 1], [1]), tf.scalar(1, "int32")),
    ...(views && { views: addWindow(views, window) }),
    ...(own && { own: tf.mul(tf.slice(own, [0, 0], [-1, 1]), 0) }),
    mask: tf.concat([carry.mask, added], 1),
    // Joined as attention has joined them, so that a graph does it once.
    keys: carry.keys.map((keys, layer) => tf.concat([keys, outputs.keys[layer]!], 2)),
    values: carry.values.map((values, layer) => tf.concat([values, outputs.values[layer]!], 2)),
  };
}

/** Codes [B, k] as they are fed back where no noise replaces them. */
const fedBack = (drawn: tf.Tensor, drafts: GraphSampling["drafts"]): tf.Tensor =>
  drafts?.kind === "blank" && drawn.shape[1]! > 1 ? blankDrafts(drawn) : drawn;

/** A window [B, k] that begins at `step`, with {@link PAD} at places after the last token. */
function padBeyond(window: tf.Tensor, step: tf.Tensor, tokens: number): tf.Tensor {
  const places = tf.add(tf.range(0, window.shape[1]!, 1, "int32"), step); // [k]
  const inside = tf.cast(tf.less(places, tf.scalar(tokens, "int32")), "int32");
  const pad = tf.mul(tf.sub(tf.scalar(1, "int32"), inside), tf.scalar(PAD, "int32"));
  return tf.add(tf.mul(window, inside), pad);
}

/** The random numbers of each sub-token at a step. */
function drawNumbers(
  { backbone, windowSize: k }: TensorARModel<Condition>,
  step: tf.Tensor,
  { uniforms, images }: Invariants<tf.Tensor, Condition>,
): (factor: number, size: number) => DrawNumbers {
  if (uniforms) {
    const count = backbone.factors?.sizes.length ?? 1;
    const ofStep = tf.squeeze(tf.gather(uniforms, step as tf.Tensor1D, 1), [1]); // [B, F · k]
    const each = tf.split(ofStep, count, 1); // [B, k]
    return (factor) => ({ uniforms: each[factor]! });
  }
  const positions = tf.add(tf.range(0, k, 1, "int32"), step); // [k]
  return (factor, size) => ({ gumbels: gumbels(images!.seed, images!.index, positions, { size, factor }) });
}

/** Recent positions join the others; the last remains, since no tensor is to be empty. */
export function flush({
  carry,
  committed,
}: Readonly<Record<"carry" | "committed", Cached<tf.Tensor>>>): Readonly<
  Record<"carry" | "committed", Cached<tf.Tensor>>
> {
  const axes = { mask: 1, keys: 2, values: 2 } as const;
  const part = (x: tf.Tensor, axis: number, start: number, size: number): tf.Tensor =>
    tf.slice(x, x.shape.map((_, i) => (i === axis ? start : 0)), x.shape.map((_, i) => (i === axis ? size : -1))); // biome-ignore format: one line
  const older = (x: tf.Tensor, axis: number) => part(x, axis, 0, x.shape[axis]! - 1);
  const newest = (x: tf.Tensor, axis: number) => part(x, axis, x.shape[axis]! - 1, 1);
  const { mask, keys, values } = axes;
  return {
    committed: {
      mask: tf.concat([committed.mask, older(carry.mask, mask)], mask),
      keys: committed.keys.map((each, layer) => tf.concat([each, older(carry.keys[layer]!, keys)], keys)),
      values: committed.values.map((each, layer) => tf.concat([each, older(carry.values[layer]!, values)], values)),
    },
    carry: {
      mask: newest(carry.mask, mask),
      keys: carry.keys.map((each) => newest(each, keys)),
      values: carry.values.map((each) => newest(each, values)),
    },
  };
}

/** Codes of the next tensor, int32 [B, k]: sub-tokens one after the other, each with guidance and filters of its own. */
function drawTokens(
  model: TensorARModel<Condition>,
  params: Params,
  { topK, topP, guidance = { kind: "constant" }, drafts = { kind: "raw" } }: GraphSampling,
  outputs: ReturnType<TensorARModel["advance"]>,
  {
    numbersOf,
    corrected,
  }: { readonly numbersOf: ReturnType<typeof drawNumbers>; readonly corrected: (logits: tf.Tensor) => tf.Tensor },
  { step, scale, temperature }: Readonly<Record<"step" | "scale" | "temperature", tf.Tensor>>,
): tf.Tensor {
  const { backbone, windowSize: k } = model;
  const { factors } = backbone;
  const sizes = factors?.sizes ?? [backbone.vocabSize];
  const own = (x: tf.Tensor, factor: number): tf.Tensor =>
    factors ? tf.squeeze(tf.gather(x, tf.tensor1d([factor], "int32"), x.rank - 1), [x.rank - 1]) : x;
  const nth = (value: PerFactor<number>, factor: number): number =>
    typeof value === "number" ? value : value[factor]!;
  const drawn: tf.Tensor[] = [];
  for (const [factor, V] of sizes.entries()) {
    const known = drawn.map((each) => twice(each)); // [rows, k]
    const logits = factor === 0 ? outputs.logits : model.nextSubToken(params, { states: outputs.states!, known });
    const scales = own(scale, factor); // [B]
    const mixed = mixGuided(
      tf.reshape(logits, [-1, 2, k, V]),
      scales,
      scalesAt(guidance, scales, step, backbone.tokens),
    );
    const filter = { topK: nth(topK, factor), topP: nth(topP, factor) };
    drawn.push(sampleTensor(corrected(mixed), numbersOf(factor, V), own(temperature, factor), filter, drafts));
  }
  return factors ? joinTokens(drawn, sizes) : drawn[0]!;
}
