import { TensorARError } from "@tensorar/core";
import type { Backbone, Condition, Params, TensorARModel } from "@tensorar/model";
import type { TensorSpec } from "@tensorar/onnx";
import { unconditionalOf } from "./conditioning";
import { replacementRates } from "./drafts";
import {
  type BodyInputs,
  type CachedSlots,
  type FirstInputs,
  firstState,
  flush,
  type GraphSampling,
  nextState,
} from "./generate";

// B images · T tokens · k window · F sub-tokens of a token · V codes · H heads · Dh head width · D width
// L positions of a step, C of the condition at first, then 1

/** How the loop draws, and the form that it has. */
export interface GenerationLoopOptions extends GraphSampling {
  /** β(0) … β(k-1) of the model's training, for drafts of kind `renoise`. */
  readonly noiseRates: readonly number[];
  /** The text token of padding, where conditions are prompts. */
  readonly padId?: number | undefined;
  /** Keeps most of the cache outside of what goes from step to step, see {@link generationLoop}. */
  readonly flushes: boolean;
}

/**
 * `generate` of `@tensorar/sampler` as the parts of a loop that `composeLoop` of `@tensorar/onnx` takes once they are traced,
 * and the specifications of what each takes. Inputs: the model's `condition`, `seed` and `index` int32 [B] (image `index` of the
 * run of a seed), `scale` and `temperature` float32 [B], or [B, F] with F sub-tokens. The last state holds `codes`, int32
 * [B, T]: those of `generate` with these settings, up to float32.
 *
 * The first step runs the condition's positions, every other one that of the token before it, with the same nodes and weights.
 * The cache grows, so a step reads only what is filled; its first position is a dummy that the mask hides. A loop copies its state
 * at every step: with `flushes` that holds the recent positions only, which `flush` moves to the others now and then.
 *
 * @param params of the model, which the caller disposes of
 * @throws TensorARError for models that can't be guided, and lists that do not fit
 */
export function generationLoop(
  model: TensorARModel<Condition>,
  params: Params,
  { noiseRates, padId, flushes, ...sampling }: GenerationLoopOptions,
) {
  checkGraphSampling(sampling, model.backbone.factors?.sizes.length ?? 1);
  const unconditional = unconditionalOf(model.backbone, padId);
  const rates = replacementRates(sampling.drafts ?? { kind: "raw" }, model.windowSize, noiseRates);
  return {
    specs: loopSpecs(model, rates, flushes),
    before: (inputs: FirstInputs) => firstState(model, params, { unconditional, rates, flushes }, inputs),
    body: (inputs: BodyInputs) => ({ state: nextState(model, params, sampling, rates, inputs) }),
    flush: ({ ended, held }: { readonly ended: CachedSlots; readonly held: CachedSlots }) => flush(ended, held),
  };
}

/**
 * Checks before the work what {@link generationLoop} checks too.
 * @param factors sub-tokens of a token; 1 where there are none
 * @throws TensorARError when a list has not one value for each sub-token
 */
export function checkGraphSampling(sampling: GraphSampling, factors: number): void {
  for (const name of ["topK", "topP"] as const) {
    const value = sampling[name];
    if (typeof value === "number" || value.length === factors) continue;
    throw new TensorARError(`${value.length} values of ${name} for ${factors} sub-tokens; give one, or one for each`);
  }
}

const ROWS = "2*batch";

/** What the parts of the loop take. */
function loopSpecs(
  { backbone, windowSize: k }: TensorARModel<Condition>,
  rates: readonly number[] | undefined,
  flushes: boolean,
) {
  const { tokens: T, width, conditionSlots, factors } = backbone;
  const { layers, heads: H, headDim: Dh } = backbone.cache;
  const int = (...shape: (number | string)[]): TensorSpec => ({ dtype: "int32", shape });
  const float = (...shape: (number | string)[]): TensorSpec => ({ dtype: "float32", shape });
  const each = (spec: TensorSpec): TensorSpec[] => Array.from({ length: layers }, () => spec);
  const L = conditionSlots === 1 ? 1 : "new"; // the usual case needs no free dimension
  const padded = backbone.conditionMask !== undefined;
  const slots = (rows: string, count: string) => ({
    mask: float(padded ? rows : 1, count),
    keys: each(float(rows, H, count, Dh)),
    values: each(float(rows, H, count, Dh)),
  });
  const F = factors?.sizes.length ?? 1;
  const perFactor = factors ? [F] : [];
  return {
    before: { condition: conditionSpecs(backbone, "batch"), seed: int("batch"), index: int("batch") },
    body: {
      state: {
        codes: int("batch", T),
        x: float(ROWS, L, width),
        positions: int(L),
        ...(padded && { own: float(ROWS, L) }),
        ...slots(ROWS, "recent"),
      },
      ...(flushes && { held: slots(ROWS, "held") }),
      fixed: {
        uniforms: float("batch", T, F * k),
        ...(rates && { noise: { chances: float("batch", T, k - 1), codes: int("batch", T, k - 1) } }),
        ...(conditionSlots !== undefined && { condition: conditionSpecs(backbone, ROWS) }),
      },
      step: int(1),
      scale: float("batch", ...perFactor),
      temperature: float("batch", ...perFactor),
    },
    flush: { held: slots("rows", "held"), ended: slots("rows", "recent") },
  };
}

/** The condition of so many rows. */
function conditionSpecs(
  { condition }: Pick<Backbone<Condition>, "condition">,
  rows: string,
): TensorSpec | Record<string, TensorSpec> {
  const batched = ({ dtype, shape }: { readonly dtype: "float32" | "int32"; readonly shape: TensorSpec["shape"] }) => ({
    ...{ dtype, shape: [rows, ...shape] },
  });
  if (isSpec(condition)) return batched(condition);
  return Object.fromEntries(Object.entries(condition).map(([name, part]) => [name, batched(part)]));
}

const isSpec = (condition: object): condition is TensorSpec => "dtype" in condition && "shape" in condition;
