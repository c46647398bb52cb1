import { TensorARError } from "@tensorar/core";
import {
  type Backbone,
  type Condition,
  type ConditionSpec,
  type Params,
  refuseChained,
  type TensorARModel,
} from "@tensorar/model";
import type { LoopOptions, TensorSpec } from "@tensorar/onnx";
import { checkDrafts } from "../drafts";
import type { Draws } from "../draw";
import { checkLeaveOneOut, type LeaveOneOut, viewAmounts } from "../leave-one-out";
import { unconditionalOf } from "./conditioning";
import { replacementRates } from "./drafts";
import { begin, type Cached, type Carry, flush, type GraphSampling, type Invariants, step } from "./generate";

// B images · T tokens · k window · F sub-tokens of a token · V codes · H heads · Dh head width · D width
// L positions of a step, C of the condition at first, then 1

/** How the loop draws, and the form that it has. */
export interface GenerationLoopOptions extends GraphSampling {
  /** β(0) … β(k-1) of the model's training, for drafts of kind `renoise`. */
  readonly noiseRates: readonly number[];
  /** s_1 … s_(k-1) of models with explicit evidence. */
  readonly evidence?: readonly number[] | undefined;
  /** The text token of padding, where conditions are prompts. */
  readonly padId?: number | undefined;
  /** Keeps most of the cache outside of what goes from step to step, see {@link generationLoop}. */
  readonly flushes: boolean;
}

type Spec = TensorSpec;
type ConditionSpecs = Spec | Readonly<Record<string, Spec>>;

/** The parts of a loop that `loop` of `@tensorar/onnx` takes; `after` is for whoever makes something of the codes. */
export type GenerationLoop = Omit<
  LoopOptions<
    { readonly condition: ConditionSpecs; readonly seed: Spec; readonly index: Spec },
    Carry<Spec>,
    Invariants<Spec, ConditionSpecs>,
    Cached<Spec>,
    { readonly scale: Spec; readonly temperature: Spec },
    object
  >,
  "after" | "trace" | "traceAfter"
>;

/**
 * `generate` of `@tensorar/sampler` as a loop inside a graph. Inputs: the model's `condition`, `seed` and `index` int32 [B] (image
 * `index` of the run of a seed), `scale` and `temperature` float32 [B], or [B, F] with F sub-tokens. It carries `codes`, int32
 * [B, T]: after the last step those of `generate` with these settings, up to float32.
 *
 * The first step runs the condition's positions, every other one that of the token before it, with the same operators and weights.
 * The cache grows, so a step reads only what is filled; its first position is a dummy that the mask hides. A loop copies what it
 * carries at every step: with `flushes` that holds the recent positions only, which join those that are committed after every √T
 * steps, when least is copied in all.
 *
 * @param params of the model, which the caller disposes of
 * @throws TensorARError for models that can't be guided, and lists that do not fit
 */
export function generationLoop(
  model: TensorARModel<Condition>,
  params: Params,
  { noiseRates, evidence, padId, flushes, ...sampling }: GenerationLoopOptions,
): GenerationLoop {
  const { windowSize, backbone } = model;
  refuseChained(model, "a graph of all of generation");
  checkGraphSampling(sampling, {
    factors: backbone.factors?.sizes.length ?? 1,
    windowSize,
    noiseRates,
    evidence,
    blanks: model.blanks,
  });
  const unconditional = unconditionalOf(model.backbone, padId);
  const rates = replacementRates(sampling.drafts ?? { kind: "raw" }, windowSize, noiseRates);
  const { tokens } = model.backbone;
  const form: LoopForm = {
    rates,
    flushes,
    draws: sampling.draws ?? "step",
    viewAmounts: viewAmounts(leaveOneOutOf(sampling, { noiseRates, evidence }), backbone.vocabSize),
  };
  return {
    tripCount: tokens,
    ...loopSpecs(model, form),
    before: (inputs) => begin(model, params, { unconditional, ...form }, inputs),
    body: ({ inputs, ...given }) => step(model, params, sampling, form, { ...given, ...inputs }),
    ...(flushes && { flush: { every: Math.ceil(Math.sqrt(tokens)), run: flush } }),
  };
}

/** What of a model decides which sampling fits it. */
export interface SampledModel {
  /** Sub-tokens of a token; 1 where there are none. */
  readonly factors: number;
  readonly windowSize: number;
  /** β(0) … β(k-1) of its training. */
  readonly noiseRates: readonly number[];
  /** s_1 … s_(k-1) of explicit evidence. */
  readonly evidence?: readonly number[] | undefined;
  /** Whether it knows blanks. */
  readonly blanks?: boolean | undefined;
}

/**
 * Checks before the work what {@link generationLoop} checks too.
 * @throws TensorARError when a list has not one value for each sub-token, or a setting of drafts does not fit the model
 */
export function checkGraphSampling(sampling: GraphSampling, model: SampledModel): void {
  const { factors, windowSize, noiseRates } = model;
  for (const name of ["topK", "topP"] as const) {
    const value = sampling[name];
    if (typeof value === "number" || value.length === factors) continue;
    throw new TensorARError(`${value.length} values of ${name} for ${factors} sub-tokens; give one, or one for each`);
  }
  const { drafts = { kind: "raw" } } = sampling;
  checkDrafts(drafts.kind === "renoise" ? { rates: noiseRates, ...drafts } : drafts, windowSize);
  if (drafts.kind === "blank" && model.blanks !== true)
    throw new TensorARError('drafts of kind "blank": the model was trained without blanks; use another kind');
  const leaveOneOut = leaveOneOutOf(sampling, model);
  if (leaveOneOut === undefined || (leaveOneOut.strength === 0 && !leaveOneOut.evidence)) return;
  if (windowSize === 1) throw new TensorARError("leaveOneOut: a model of windows of 1 has no drafts; leave it out");
  if (factors > 1) throw new TensorARError("leaveOneOut takes whole tokens; leave it out for models of sub-tokens");
  checkLeaveOneOut(leaveOneOut, windowSize);
}

const ROWS = "2*batch";

/** What decides which tensors there are. */
interface LoopForm {
  /** Of drafts that are replaced by noise. */
  readonly rates: readonly number[] | undefined;
  readonly flushes: boolean;
  readonly draws: Draws;
  /** What the logits of views at depths 1 … k-1 gain; none where they stay. */
  readonly viewAmounts: readonly number[];
}

/** What the logits of a model gain or lose; undefined where they stay. */
const leaveOneOutOf = (
  { leaveOneOut: strength }: GraphSampling,
  { noiseRates: rates, evidence }: Pick<SampledModel, "noiseRates" | "evidence">,
): LeaveOneOut | undefined => (strength === undefined ? undefined : { strength, rates, evidence });

/** What the parts of the loop take. */
function loopSpecs(
  { backbone, windowSize: k }: TensorARModel<Condition>,
  { rates, flushes, draws, viewAmounts }: LoopForm,
): Pick<GenerationLoop, "inputs" | "carry" | "invariants" | "committed" | "stepInputs"> {
  const { tokens: T, width, conditionPositions, factors } = backbone;
  const { layers, heads: H, headDim: Dh } = backbone.cache;
  const int = (...shape: (number | string)[]): Spec => ({ dtype: "int32", shape });
  const float = (...shape: (number | string)[]): Spec => ({ dtype: "float32", shape });
  const each = (spec: Spec): Spec[] => Array.from({ length: layers }, () => spec);
  const L = conditionPositions === 1 ? 1 : "new"; // the usual case needs no free dimension
  const padded = backbone.conditionMask !== undefined;
  const cached = (count: string): Cached<Spec> => ({
    mask: float(padded ? ROWS : 1, count),
    keys: each(float(ROWS, H, count, Dh)),
    values: each(float(ROWS, H, count, Dh)),
  });
  const F = factors?.sizes.length ?? 1;
  const perFactor = factors ? [F] : [];
  return {
    inputs: { condition: conditionSpecs(backbone, "batch"), seed: int("batch"), index: int("batch") },
    carry: {
      codes: int("batch", T),
      x: float(ROWS, L, width),
      positions: int(L),
      ...(viewAmounts.length > 0 && { views: int("batch", k - 1, k) }),
      ...(padded && { own: float(ROWS, L) }),
      ...cached("recent"),
    },
    ...(flushes && { committed: cached("held") }),
    invariants: {
      ...(draws === "position"
        ? { images: { seed: int("batch"), index: int("batch") } }
        : { uniforms: float("batch", T, F * k) }),
      ...(rates && { noise: { chances: float("batch", T, k - 1), codes: int("batch", T, k - 1) } }),
      condition: conditionSpecs(backbone, ROWS),
    },
    stepInputs: { scale: float("batch", ...perFactor), temperature: float("batch", ...perFactor) },
  };
}

/** The condition of so many rows. */
function conditionSpecs({ condition }: Pick<Backbone<Condition>, "condition">, rows: string): ConditionSpecs {
  const batched = ({ dtype, shape }: ConditionSpec): Spec => ({ dtype, shape: [rows, ...shape] });
  if (isSpec(condition)) return batched(condition);
  return Object.fromEntries(Object.entries(condition).map(([name, part]) => [name, batched(part)]));
}

/** A condition's parts have any names, so "dtype" may be one, too. */
const isSpec = (condition: Backbone["condition"]): condition is ConditionSpec => typeof condition.dtype === "string";
