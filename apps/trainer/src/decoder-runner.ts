import type { TensorData, TensorSpec } from "@tensorar/core";
import { type ConditionSpec, type ConditionSpecs, packRows, toParams } from "@tensorar/model";
import { type ModelFolder, modelOf } from "@tensorar/model/node";
import type { Feeds } from "@tensorar/onnx";
import {
  type Conditioning,
  cachedDecoder,
  type Decoder,
  type FactorInputs,
  type PrefillOutputs,
  type SlotsInputs,
  type StepInputs,
  type StepOutputs,
} from "@tensorar/sampler";
import type { Engine } from "@tensorar/training";
import * as tf from "@tensorflow/tfjs-core";

type StepSpecs = Readonly<Record<string, ConditionSpecs | readonly TensorSpec[]>>;

/**
 * A model made ready for generation on an engine; any number of images at once. With `ahead` a step may take several slots,
 * as speculative sampling needs.
 */
export async function openDecoder<C>(
  folder: ModelFolder,
  conditioning: Conditioning<C>,
  engine: Engine,
  { ahead = false } = {},
): Promise<{ decoder: Decoder<C>; dispose(): Promise<void> }> {
  const model = modelOf(folder);
  const params = toParams(folder.tensors);
  const { windowSize } = model;
  const { width, tokens, vocabSize, conditionSlots, cache, factors } = model.backbone;
  const layers = <Value>(value: Value): Value[] => Array.from({ length: cache.layers }, () => value);
  const condition = conditionSpecs(model.backbone.condition);
  const prepared: { dispose(): Promise<void> }[] = [];
  const prepare = async <Inputs, Outputs>(
    fn: (inputs: never) => object,
    specs: StepSpecs,
  ): Promise<(inputs: Inputs) => Promise<Outputs>> => {
    const runnable = await engine.prepare(fn, specs);
    prepared.push(runnable);
    return (inputs) => runnable(inputs as Feeds<StepSpecs>) as Promise<Outputs>;
  };

  const past: StepSpecs = {
    condition,
    mask: { dtype: "float32", shape: ["batch", "slots"] },
    keys: layers({ dtype: "float32", shape: ["batch", cache.heads, "slots", cache.headDim] }),
    values: layers({ dtype: "float32", shape: ["batch", cache.heads, "slots", cache.headDim] }),
  };
  const step = ahead
    ? {
        runSlots: await prepare<SlotsInputs, StepOutputs>(
          (inputs: Parameters<typeof model.decodeSlots>[1]) => packRows(model.decodeSlots(params, inputs)),
          {
            ...past,
            windows: { dtype: "int32", shape: ["batch", "new", windowSize] },
            positions: { dtype: "int32", shape: ["new"] },
          },
        ),
      }
    : {
        run: await prepare<StepInputs, StepOutputs>(
          (inputs: Parameters<typeof model.decode>[1]) => packRows(model.decode(params, inputs)),
          {
            ...past,
            window: { dtype: "int32", shape: ["batch", windowSize] },
            position: { dtype: "int32", shape: [1] },
          },
        ),
      };
  const prefill =
    conditionSlots === 1
      ? undefined
      : await prepare<Pick<StepInputs, "condition">, PrefillOutputs>(
          (inputs: Parameters<typeof model.prefill>[1]) => packRows(model.prefill(params, inputs)),
          { condition },
        );
  const nextFactors = await Promise.all(
    (factors?.sizes ?? []).slice(1).map((_, before) =>
      prepare<FactorInputs<TensorData>, Pick<StepOutputs, "logits">>(
        (inputs: Parameters<typeof model.nextFactor>[1]) => ({ logits: model.nextFactor(params, inputs) }),
        {
          states: { dtype: "float32", shape: ["batch", windowSize, width] },
          known: Array.from({ length: before + 1 }, () => ({ dtype: "int32", shape: ["batch", windowSize] }) as const),
        },
      ),
    ),
  );
  const decoder = cachedDecoder({
    ...{ tokens, windowSize, vocabSize, cache, conditioning, ...step },
    ...(prefill && { prefill }),
    ...(factors && {
      factors: factors.sizes,
      nextFactor: (inputs: FactorInputs<TensorData>) => nextFactors[inputs.known.length - 1]!(inputs),
    }),
  });
  return {
    decoder,
    async dispose() {
      await Promise.all(prepared.map((each) => each.dispose()));
      tf.dispose(params);
    },
  };
}

/** Conditions of a batch of any size. */
function conditionSpecs(condition: ConditionSpec | Readonly<Record<string, ConditionSpec>>): ConditionSpecs {
  const ofBatch = ({ dtype, shape }: ConditionSpec): TensorSpec => ({ dtype, shape: ["batch", ...shape] });
  if (isSpec(condition)) return ofBatch(condition);
  return Object.fromEntries(Object.entries(condition).map(([name, each]) => [name, ofBatch(each)]));
}

const isSpec = (condition: object): condition is ConditionSpec => "dtype" in condition;
