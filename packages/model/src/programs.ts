import type { DecodeInputs, DecodePositionsInputs, FactorInputs, TensorSpec } from "@tensorar/core";
import { type Branches, float32, int32, type Program, type ProgramPart, type Tensors } from "@tensorar/program";
import * as tf from "@tensorflow/tfjs-core";
import type { TensorARModel } from "./attach";
import type { Backbone, Condition, ConditionSpec } from "./backbone";
import { type DecodeOutputs, packRows } from "./generation";
import type { Params } from "./parameters";
import { updatedCache } from "./updated-cache";

// B batch · L positions · C positions of the condition · S positions of the cache · k window · D width · V codes

/** Specs of a batch of conditions. */
export type ConditionSpecs = TensorSpec | Readonly<Record<string, TensorSpec>>;
/** Specs of {@link ModelPrograms.decode}. */
export type DecodeSpecs = DecodeInputs<TensorSpec, ConditionSpecs>;
/** Specs of {@link ModelPrograms.decodePositions}. */
export type DecodePositionsSpecs = DecodePositionsInputs<TensorSpec, ConditionSpecs>;
/** Specs of {@link ModelPrograms.prefill}. */
export type PrefillSpecs = { readonly condition: ConditionSpecs };

/** What a step returns, as caches outside of a graph take it: see `packRows`. */
export type PackedOutputs = Omit<DecodeOutputs, "keys" | "values"> & {
  /** [2, layers, B, H, L, Dh] */
  readonly rows: tf.Tensor;
  /** [B, C]: of a step that runs the condition's positions. */
  readonly mask?: tf.Tensor;
};

/** What a step returns that keeps the cache itself. */
export type UpdatedCache = Omit<DecodeOutputs, "keys" | "values"> &
  Pick<DecodeInputs<tf.Tensor>, "mask" | "keys" | "values">;

/** Sizes that the inputs of a model's programs depend on. */
export interface DecodeSizes extends Pick<Backbone<Condition>, "cache" | "condition"> {
  readonly windowSize: number;
}

/** All programs of a model that generation needs. */
export interface ModelPrograms {
  /** One position. Not for position 0 where the condition has several positions: `prefill` runs those. */
  readonly decode: Program<DecodeSpecs, PackedOutputs>;
  /** Several positions in a row. */
  readonly decodePositions: Program<DecodePositionsSpecs, PackedOutputs>;
  /** All positions of the condition, where there are several. */
  readonly prefill?: Program<PrefillSpecs, PackedOutputs>;
  /** With factors: the sub-tokens after 1, 2, … known ones. */
  readonly nextSubToken: readonly Program<FactorInputs<TensorSpec>, { readonly logits: tf.Tensor }>[];
  /** Of chained models: the entries after 1, 2, … known ones. */
  readonly nextEntry: readonly Program<FactorInputs<TensorSpec>, { readonly logits: tf.Tensor }>[];
  /** As `decode`, and as `prefill` at position 0: all of generation by one program. */
  readonly step: Program<DecodeSpecs, PackedOutputs>;
  /** As `step`, returning the cache with the new positions in it, for caches that stay on the device. */
  readonly deviceStep: Program<DecodeSpecs, UpdatedCache>;
}

/** What {@link ModelPrograms.decode} takes, for any batch and any number of cached positions. */
export function decodeSpecs({ windowSize, cache, condition }: DecodeSizes): DecodeSpecs {
  const layers = Array.from({ length: cache.layers }, () => float32("batch", cache.heads, "positions", cache.headDim));
  return {
    // First, since graphs read the size of the batch from the first input that has it.
    window: int32("batch", windowSize),
    condition: conditionSpecs(condition),
    position: int32(1),
    mask: float32("batch", "positions"),
    keys: layers,
    values: layers,
  };
}

/** What {@link ModelPrograms.nextSubToken} takes with this many sub-tokens known. @param width D */
export const factorSpecs = (windowSize: number, width: number, known: number): FactorInputs<TensorSpec> => ({
  states: float32("batch", windowSize, width),
  known: Array.from({ length: known }, () => int32("batch", windowSize)),
});

/** A batch of conditions of which this is one. */
export function conditionSpecs(condition: DecodeSizes["condition"]): ConditionSpecs {
  const batched = ({ dtype, shape }: ConditionSpec): TensorSpec => ({ dtype, shape: ["batch", ...shape] });
  if (isSpec(condition)) return batched(condition);
  return Object.fromEntries(Object.entries(condition).map(([name, each]) => [name, batched(each)]));
}

/** A condition's parts have any names, so "dtype" may be one, too. */
const isSpec = (condition: DecodeSizes["condition"]): condition is ConditionSpec =>
  typeof (condition as ConditionSpec).dtype === "string";

type AnyModel = TensorARModel<Condition>;

/** The programs of a model with these parameters, which are borrowed: dispose of them when no program is used any more. */
export function modelPrograms(model: AnyModel, weights: Params): ModelPrograms {
  const { windowSize, backbone } = model;
  const inputs = decodeSpecs({ ...backbone, windowSize });
  const { window: _, position: __, ...past } = inputs;
  const decode: ModelPrograms["decode"] = {
    name: "decode",
    inputs,
    weights,
    run: (given) => packRows(model.decode(weights, given)),
  };
  const prefill: Program<PrefillSpecs, PackedOutputs> = {
    name: "prefill",
    inputs: { condition: inputs.condition },
    weights,
    run: (given) => packRows(model.prefill(weights, given)),
  };
  return {
    decode,
    decodePositions: {
      name: "decode-positions",
      inputs: { ...past, windows: int32("batch", "new", windowSize), positions: int32("batch", "new") },
      weights,
      run: (given) => packRows(model.decodePositions(weights, given)),
    },
    ...(backbone.conditionPositions !== 1 && { prefill }),
    nextSubToken: subTokenPrograms(model, weights),
    nextEntry: entryPrograms(model, weights),
    step: stepProgram("step", model, weights, inputs, (outputs) => packRows(outputs)),
    deviceStep: stepProgram(
      "device-step",
      model,
      weights,
      inputs,
      ({ keys, values, mask, ...others }, cache, positions) => ({
        ...others,
        ...updatedCache(cache, { keys, values, mask }, positions),
      }),
    ),
  };
}

/** One for each sub-token but the first. */
const subTokenPrograms = ({ windowSize, backbone, nextSubToken }: AnyModel, weights: Params) =>
  (backbone.factors?.sizes.slice(1) ?? []).map((_, before): ModelPrograms["nextSubToken"][number] => ({
    name: "next-factor",
    inputs: factorSpecs(windowSize, backbone.width, before + 1),
    weights,
    run: (given) => ({ logits: nextSubToken(weights, given) }),
  }));

/** One for each entry of a tensor but the first. */
const entryPrograms = ({ windowSize, backbone, chained, nextEntry }: AnyModel, weights: Params) =>
  Array.from({ length: chained ? windowSize - 1 : 0 }, (_, before): ModelPrograms["nextEntry"][number] => ({
    name: "next-entry",
    inputs: {
      states: float32("batch", windowSize, backbone.width),
      known: Array.from({ length: before + 1 }, () => int32("batch")),
    },
    weights,
    run: (given) => ({ logits: nextEntry(weights, given) }),
  }));

type Decoding = DecodeInputs<tf.Tensor, Condition>;

/** What a step returns of what the model does. @param positions int32 [L]: those of this step */
type Finish<O> = (
  outputs: DecodeOutputs & { readonly mask?: tf.Tensor },
  cache: Pick<Decoding, "mask" | "keys" | "values">,
  positions: tf.Tensor,
) => O;

/**
 * The step of a model: where its condition has several positions, all of them at position 0, one elsewhere. What follows the
 * embedding is the same then, operators and weights.
 */
function stepProgram<O extends object>(
  name: string,
  model: AnyModel,
  weights: Params,
  inputs: DecodeSpecs,
  finish: Finish<O>,
): Program<DecodeSpecs, O> {
  const decode = (given: Decoding) => model.decode(weights, given);
  if (model.backbone.conditionPositions === 1)
    return { name, inputs, weights, run: (given) => finish(decode(given), given, given.position) };
  return {
    name,
    inputs,
    weights,
    run: (given) =>
      given.position.dataSync()[0] === 0
        ? finish(model.prefill(weights, given), given, model.embedPrefix(weights, given.condition).positions)
        : finish({ ...decode(given), mask: noPadding(given.window) }, given, given.position),
    branches: stepBranches(model, weights, inputs, finish),
  };
}

/** [B, k] → [B, 1] of 0 */
const noPadding = (window: tf.Tensor): tf.Tensor => tf.zerosLike(tf.cast(tf.slice(window, [0, 0], [-1, 1]), "float32"));

function stepBranches(
  model: AnyModel,
  weights: Params,
  { window, position, condition, ...cache }: DecodeSpecs,
  finish: Finish<object>,
): Branches {
  const chosen = {
    x: float32("batch", "new", model.backbone.width),
    positions: int32("new"),
    mask: float32("batch", "new"),
  };
  return {
    when: "position",
    whenZero: part({ condition }, (given) => ({ chosen: { ...model.embedPrefix(weights, given.condition) } })),
    otherwise: part({ window, position }, (given) => ({
      chosen: {
        x: model.embedWindows(weights, tf.expandDims(given.window, 1)),
        positions: given.position,
        mask: noPadding(given.window),
      },
    })),
    after: part({ chosen, condition, ...cache }, ({ chosen, condition, ...cache }) => {
      const own = model.backbone.conditionMask && chosen.mask;
      const outputs = model.advance(weights, { ...chosen, mask: own, condition, cache });
      return finish({ ...outputs, mask: chosen.mask }, cache, chosen.positions);
    }),
  };
}

/** A part whose function is typed by its specs. */
const part = <S>(inputs: S & ProgramPart["inputs"], run: (given: Tensors<S>) => object): ProgramPart => ({
  inputs,
  run,
});
