import type { TensorData } from "@tensorar/checkpoint";
import { type ModelFolder, modelOf } from "@tensorar/model/node";
import { cachedDecoder, classLabels, type Decoder, type PrefillOutputs, type StepOutputs } from "@tensorar/sampler";
import * as tf from "@tensorflow/tfjs-core";
import type { Engine, InputSpec, Nested } from "./engine/engine";
import { tensorsOf } from "./tokenizer-runner";

/** A model made ready for generation on an engine; any number of images at once. */
export async function openDecoder(
  folder: ModelFolder,
  engine: Engine,
): Promise<{ decoder: Decoder; dispose(): Promise<void> }> {
  const model = modelOf(folder);
  const params = tensorsOf(folder.tensors);
  const { tokens, vocabSize, nullCondition, conditionSlots, cache } = model.backbone;
  const layers = <Value>(value: Value): Value[] => Array.from({ length: cache.layers }, () => value);
  const specs: Record<string, Nested<InputSpec>> = {
    condition: { dtype: "int32", shape: ["batch"] },
    window: { dtype: "int32", shape: ["batch", model.windowSize] },
    position: { dtype: "int32", shape: [1] },
    mask: { dtype: "float32", shape: ["batch", "slots"] },
    keys: layers({ dtype: "float32", shape: ["batch", cache.heads, cache.headDim, "slots"] }),
    values: layers({ dtype: "float32", shape: ["batch", cache.heads, "slots", cache.headDim] }),
  };
  const step = await engine.prepare(
    ((inputs: Parameters<typeof model.decode>[1]) => model.decode(params, inputs)) as never,
    specs,
  );
  const prefill =
    conditionSlots === 1
      ? undefined
      : await engine.prepare(
          ((inputs: Parameters<typeof model.prefill>[1]) => model.prefill(params, inputs)) as never,
          { condition: specs.condition! },
        );
  const decoder = cachedDecoder({
    tokens,
    windowSize: model.windowSize,
    vocabSize,
    cache,
    conditioning: classLabels(nullCondition),
    ...(prefill && {
      prefill: async (inputs) =>
        (await prefill(inputs as unknown as Record<string, Nested<TensorData>>)) as unknown as PrefillOutputs,
    }),
    run: async (inputs) =>
      (await step(inputs as unknown as Record<string, Nested<TensorData>>)) as unknown as StepOutputs,
  });
  return {
    decoder,
    async dispose() {
      await Promise.all([step.dispose(), prefill?.dispose()]);
      tf.dispose(params);
    },
  };
}
