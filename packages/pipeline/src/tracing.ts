import { parseSafetensors, type TensorRecord } from "@tensorar/checkpoint";
import { parseJson, TensorARError } from "@tensorar/core";
import {
  type Condition,
  type ConditionSpec,
  type JanusConfig,
  type ModelFolder,
  modelOf,
  packRows,
  parseModel,
  type TensorARModel,
  toParams,
} from "@tensorar/model";
import { type CompiledFunction, compile, type Nested, type TensorSpec } from "@tensorar/onnx";
import type { TensorData } from "@tensorar/onnx/run";
import { cachedDecoder, type FactorInputs } from "@tensorar/sampler";
import { createTokenizer, parseTokenizer, type TokenizerFolder, type TokenizerKind } from "@tensorar/tokenizer";
import * as tf from "@tensorflow/tfjs-core";
import { conditioningOf } from "./conditioning";
import { PROVIDERS } from "./device";
import { type Folder, refuseOther } from "./folder";
import { ensureBackend } from "./host-backend";
import type { Conditions, Tracing } from "./opened";

/** Opens model folders from anywhere: traces the model and its tokenizer, and runs them on ONNX Runtime. */
export const tracing: Tracing = /* @__PURE__ */ tracingBy(async (folder) => {
  const name = folder.nameOf(WEIGHTS);
  const bytes = await folder.read(WEIGHTS);
  refuseOther(bytes, name);
  return parseSafetensors(bytes, name);
});

const WEIGHTS = "model.safetensors";

/** @param read the tensors of a folder's `model.safetensors` */
export function tracingBy(read: (folder: Folder) => Promise<TensorRecord>): Tracing {
  return async ({ config, model: modelDir, tokenizer: tokenizerDir, runtime, device, signal }) => {
    const names = (folder: Folder) => ({ config: folder.nameOf("config.json"), tensors: folder.nameOf(WEIGHTS) });
    const folder = parseModel(config, await read(modelDir), names(modelDir));
    const tokenizerConfig = parseJson(await tokenizerDir.read("config.json"), tokenizerDir.nameOf("config.json"));
    const tokenizer = parseTokenizer(tokenizerConfig, await read(tokenizerDir), names(tokenizerDir));
    checkTogether(folder, tokenizer, modelDir, tokenizerDir);
    signal?.throwIfAborted();
    await ensureBackend();
    const opened: CompiledFunction[] = [];
    const dispose = async () => void (await Promise.all(opened.map((each) => each.dispose())));
    const prepare: Prepare = async (fn, inputs, weights) => {
      signal?.throwIfAborted();
      // Specs are made of the config: their types are dynamic, and inferring from them would nest without end.
      const untyped = compile as unknown as (
        fn: unknown,
        inputs: unknown,
        options: object,
      ) => Promise<CompiledFunction>;
      const run = await untyped(fn, inputs, { runtime, providers: PROVIDERS[device], weights });
      opened.push(run);
      return run;
    };
    try {
      const model = modelOf(folder);
      const decoder = await traceDecoder(folder, model, prepare);
      const decode = await traceImages(tokenizer, folder.grid, prepare);
      const { tokens, vocabSize } = model.backbone;
      const { grid, classes, noiseRates } = folder;
      const sizes = { tokens, vocabSize, windowSize: model.windowSize, grid, imageSize: tokenizer.imageSize };
      return {
        description: { ...sizes, classes, noiseRates, conditions: conditionsIn(folder, model) },
        decoder,
        decode,
        dispose,
      };
    } catch (error) {
      await dispose();
      throw error;
    }
  };
}

type Prepare = (
  fn: (inputs: never) => object,
  inputs: Nested<TensorSpec>,
  weights: Record<string, tf.Tensor>,
) => Promise<CompiledFunction>;

async function traceDecoder(folder: ModelFolder, model: TensorARModel<Condition>, prepare: Prepare) {
  const { windowSize, backbone } = model;
  const { tokens, vocabSize, conditionSlots, cache, factors, width } = backbone;
  const params = toParams(folder.tensors);
  try {
    const condition = conditionSpecs(backbone.condition);
    const past = float("batch", cache.heads, "slots", cache.headDim);
    const layers = Array.from({ length: cache.layers }, () => past);
    const run = await prepare(
      (inputs: Parameters<typeof model.decode>[1]) => packRows(model.decode(params, inputs)),
      {
        ...{ condition, window: int("batch", windowSize), position: int(1) },
        ...{ mask: float("batch", "slots"), keys: layers, values: layers },
      },
      params,
    );
    const prefill =
      conditionSlots === 1
        ? undefined
        : await prepare(
            (inputs: Parameters<typeof model.prefill>[1]) => packRows(model.prefill(params, inputs)),
            { condition },
            params,
          );
    const nextFactors: CompiledFunction[] = [];
    for (let known = 1; known < (factors?.sizes.length ?? 1); known++) {
      const states = float("batch", windowSize, width);
      const inputs = { states, known: Array.from({ length: known }, () => int("batch", windowSize)) };
      const next = (given: Parameters<typeof model.nextFactor>[1]) => ({ logits: model.nextFactor(params, given) });
      nextFactors.push(await prepare(next, inputs, params));
    }
    return cachedDecoder({
      ...{
        tokens,
        windowSize,
        vocabSize,
        cache,
        run,
        prefill,
        conditioning: conditioningOf(conditionsIn(folder, model)),
      },
      ...(factors && {
        factors: factors.sizes,
        nextFactor: (inputs: FactorInputs) => nextFactors[inputs.known.length - 1]!(inputs),
      }),
    });
  } finally {
    tf.dispose(params);
  }
}

async function traceImages(folder: TokenizerFolder<TokenizerKind>, grid: readonly [number, number], prepare: Prepare) {
  const tokenizer = createTokenizer(folder);
  const params = toParams(folder.tensors);
  const T = grid[0] * grid[1];
  try {
    const run = await prepare(
      ({ codes }: { codes: tf.Tensor2D }) => ({ images: tokenizer.decode(params, codes, grid) }),
      { codes: int("batch", T) },
      params,
    );
    return async (codes: Int32Array): Promise<Float32Array> => {
      const outputs = await run({ codes: { dtype: "int32", shape: [codes.length / T, T], data: codes } });
      return (outputs as { readonly images: TensorData }).images.data as Float32Array;
    };
  } finally {
    tf.dispose(params);
  }
}

const float = (...shape: (number | string)[]): TensorSpec => ({ dtype: "float32", shape });
const int = (...shape: (number | string)[]): TensorSpec => ({ dtype: "int32", shape });

/** Conditions of a batch of any size. */
function conditionSpecs(condition: ConditionSpec | Readonly<Record<string, ConditionSpec>>): Nested<TensorSpec> {
  if (isSpec(condition)) return { dtype: condition.dtype, shape: ["batch", ...condition.shape] };
  return Object.fromEntries(Object.entries(condition).map(([name, each]) => [name, conditionSpecs(each)]));
}

const isSpec = (condition: object): condition is ConditionSpec =>
  typeof (condition as ConditionSpec).dtype === "string";

function conditionsIn({ classes, backbone }: ModelFolder, model: TensorARModel<Condition>): Conditions {
  const { condition, nullCondition } = model.backbone;
  if (isSpec(condition)) {
    const count = classes.length || Math.max(1, nullCondition);
    return { kind: "class", count, none: nullCondition };
  }
  if (condition.caption) {
    const [slots, width] = condition.caption.shape as readonly [number, number];
    return { kind: "caption", slots, width };
  }
  const { language, pad_id: padId } = backbone as JanusConfig;
  return { kind: "prompt", below: language.vocab_size, padId };
}

/** @throws TensorARError when codes of the model are not codes of the tokenizer */
function checkTogether(
  model: ModelFolder,
  tokenizer: TokenizerFolder<TokenizerKind>,
  modelDir: Folder,
  tokenizerDir: Folder,
): void {
  const { vocabSize } = modelOf(model).backbone;
  const { codebookSize, gridOf } = createTokenizer(tokenizer);
  const grid = gridOf(tokenizer.imageSize);
  if (vocabSize === codebookSize && model.grid.join() === grid.join()) return;
  throw new TensorARError(
    `${modelDir.where} predicts a grid of ${model.grid.join(" x ")} with ${vocabSize} codes, ${tokenizerDir.where} decodes ` +
      `one of ${grid.join(" x ")} with ${codebookSize}; give the tokenizer that it was trained with`,
  );
}
