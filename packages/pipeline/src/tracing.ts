import { parseSafetensors, type TensorRecord } from "@tensorar/checkpoint";
import { parseJson, TensorARError, type TensorSpec } from "@tensorar/core";
import { type ConditionSpec, evidenceIn, type LoadedModel, modelPrograms, parseModel, toParams } from "@tensorar/model";
import { type CompiledProgram, compileProgram } from "@tensorar/onnx";
import type { Program } from "@tensorar/program";
import { cachedDecoder, type FactorInputs } from "@tensorar/sampler";
import {
  createTokenizer,
  parseTokenizer,
  type TokenizerFolder,
  type TokenizerKind,
  tokenizerPrograms,
} from "@tensorar/tokenizer";
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
    const opened: { dispose(): Promise<void> }[] = [];
    const dispose = async () => void (await Promise.all(opened.map((each) => each.dispose())));
    const prepare: Prepare = async (program) => {
      signal?.throwIfAborted();
      const run = await compileProgram(program, { runtime, providers: PROVIDERS[device] });
      opened.push(run);
      return run;
    };
    try {
      const { model, grid, classes, noiseRates, tensors } = folder;
      const drafts = { noiseRates, evidence: evidenceIn(tensors), blanks: model.blanks };
      const decoder = await traceDecoder(folder, prepare);
      const decode = await traceImages(tokenizer, prepare);
      const { tokens, vocabSize } = model.backbone;
      const sizes = { tokens, vocabSize, windowSize: model.windowSize, grid, imageSize: tokenizer.imageSize };
      return {
        description: { ...sizes, classes, ...drafts, conditions: conditionsIn(folder) },
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

type Prepare = <S, O extends object>(program: Program<S, O>) => Promise<CompiledProgram<S, O>>;

async function traceDecoder(folder: LoadedModel, prepare: Prepare) {
  const { windowSize, backbone } = folder.model;
  const { tokens, vocabSize, cache, factors } = backbone;
  const params = toParams(folder.tensors);
  try {
    const { decode, prefill, nextSubToken, nextEntry } = modelPrograms(folder.model, params);
    const nextSubTokens: CompiledProgram<FactorInputs<TensorSpec>, { logits: tf.Tensor }>[] = [];
    for (const program of nextSubToken) nextSubTokens.push(await prepare(program));
    const nextEntries: typeof nextSubTokens = [];
    for (const program of nextEntry) nextEntries.push(await prepare(program));
    return cachedDecoder({
      tokens,
      windowSize,
      vocabSize,
      cache,
      conditioning: conditioningOf(conditionsIn(folder)),
      run: await prepare(decode),
      prefill: prefill && (await prepare(prefill)),
      ...(factors && {
        factors: factors.sizes,
        nextSubToken: (inputs) => nextSubTokens[inputs.known.length - 1]!(inputs),
      }),
      ...(folder.model.chained && { nextEntry: (inputs) => nextEntries[inputs.known.length - 1]!(inputs) }),
    });
  } finally {
    tf.dispose(params);
  }
}

async function traceImages(folder: TokenizerFolder<TokenizerKind>, prepare: Prepare) {
  const params = toParams(folder.tensors);
  try {
    const program = tokenizerPrograms(createTokenizer(folder), params, folder.imageSize).decode;
    const [, T] = program.inputs.codes.shape as readonly [string, number];
    const run = await prepare(program);
    return async (codes: Int32Array): Promise<Float32Array> => {
      const { images } = await run({ codes: { dtype: "int32", shape: [codes.length / T, T], data: codes } });
      return images.data as Float32Array;
    };
  } finally {
    tf.dispose(params);
  }
}

const isSpec = (condition: object): condition is ConditionSpec =>
  typeof (condition as ConditionSpec).dtype === "string";

function conditionsIn({ classes, model }: LoadedModel): Conditions {
  const { condition, unconditionalClass, prompts } = model.backbone;
  if (isSpec(condition)) {
    const count = classes.length || Math.max(1, unconditionalClass);
    return { kind: "class", count, none: unconditionalClass };
  }
  if (prompts) {
    const { vocabSize: below, padId, template, maxTokens } = prompts;
    return { kind: "prompt", below, padId, template, maxTokens };
  }
  const [positions, width] = condition.caption!.shape as readonly [number, number];
  return { kind: "caption", positions, width };
}

/** @throws TensorARError when codes of the model are not codes of the tokenizer */
function checkTogether(
  model: LoadedModel,
  tokenizer: TokenizerFolder<TokenizerKind>,
  modelDir: Folder,
  tokenizerDir: Folder,
): void {
  const { vocabSize } = model.model.backbone;
  const { codebookSize, gridOf } = createTokenizer(tokenizer);
  const grid = gridOf(tokenizer.imageSize);
  if (vocabSize === codebookSize && model.grid.join() === grid.join()) return;
  throw new TensorARError(
    `${modelDir.where} predicts a grid of ${model.grid.join(" x ")} with ${vocabSize} codes, ${tokenizerDir.where} decodes ` +
      `one of ${grid.join(" x ")} with ${codebookSize}; give the tokenizer that it was trained with`,
  );
}
