import { join } from "node:path";
import { castTensor, type FloatDType, type TensorData } from "@tensorar/checkpoint";
import { openSafetensors, writeSafetensors } from "@tensorar/checkpoint/node";
import { TensorARError } from "@tensorar/core";
import { checkFolder, readJson, settleFolder, writeChecksums, writeFileAtomic } from "@tensorar/core/node";
import { checkTensors, type Params, toParams } from "@tensorar/model";
import type { RuntimeOptions } from "@tensorar/onnx";
import { runProgram } from "@tensorar/program";
import { openTextTokenizer, TOKENIZER_FILES } from "@tensorar/text/node";
import * as tf from "@tensorflow/tfjs-core";
import { compileEncoder } from "./compile";
import { parseTextEncoder, TEXT_ENCODER_FOLDER, type TextEncoderDescription } from "./description";
import { openOnnxEncoder } from "./onnx-encoder";
import { createTextEncoder, type TextEncoder, type TokenRunner } from "./text-encoder";
import { TOKEN_ENCODERS, type TokenEncoder, textEncoderProgram } from "./token-encoder";

const CONFIG = "config.json";
const WEIGHTS = "model.safetensors";

/** Files that every text encoder's folder may hold; one of kind `onnx` has its own file of weights. */
export const TEXT_ENCODER_FILES = [CONFIG, WEIGHTS, ...TOKENIZER_FILES] as const;

/** A text encoder's folder in memory, of the kinds whose functions are known. */
export type TextEncoderFolder = Exclude<TextEncoderDescription, { kind: "onnx" }> & {
  /** float32, by the original's names. */
  readonly tensors: Record<string, TensorData>;
};

/** A text encoder's folder that was read: with its functions. */
export type LoadedTextEncoder = TextEncoderFolder & { readonly functions: TokenEncoder };

/** What runs a text encoder: ONNX Runtime, or where there are no options the current backend of TensorFlow.js, op by op. */
export type EncoderRuntime = Pick<RuntimeOptions, "runtime" | "providers" | "threads">;

/**
 * What `config.json` of a text encoder's folder holds.
 * @throws TensorARError when it is missing or describes none
 */
export async function describeTextEncoder(dir: string): Promise<TextEncoderDescription> {
  await settleFolder(dir);
  const path = join(dir, CONFIG);
  return parseTextEncoder(await readJson(path, TEXT_ENCODER_FOLDER), path);
}

/**
 * Opens the folder of a text encoder, of any kind.
 *
 * @param runtime runs it compiled; without, it runs on the current backend of TensorFlow.js
 * @throws TensorARError naming the file and what is wrong with it: missing, damaged, a configuration that is not valid, tensors or
 *   a tokenizer that do not fit it
 */
export async function openTextEncoder(dir: string, runtime?: EncoderRuntime): Promise<TextEncoder> {
  const description = await describeTextEncoder(dir);
  const tokenizer = await openTextTokenizer(dir);
  if (description.kind !== "onnx") {
    const runner = await openTokenEncoder(await loadTextEncoder(dir), runtime);
    return createTextEncoder(description, tokenizer, runner);
  }
  if (!runtime)
    throw new TensorARError(`${dir}: a text encoder as an ONNX file needs ONNX Runtime; choose --engine onnx`, {
      code: "unsupported",
    });
  await checkFolder(dir);
  const runner = await openOnnxEncoder(join(dir, description.encoder.file), description.encoder, runtime);
  return createTextEncoder(description, tokenizer, runner);
}

/**
 * Reads the folder of a text encoder whose functions are known: not one of kind `onnx`.
 * @throws TensorARError as {@link openTextEncoder}
 */
export async function loadTextEncoder(dir: string): Promise<LoadedTextEncoder> {
  const description = await describeTextEncoder(dir);
  if (description.kind === "onnx")
    throw new TensorARError(`${dir}: a text encoder as an ONNX file, whose functions are not known here`, {
      code: "unsupported",
    });
  const functions = functionsOf(description, join(dir, CONFIG));
  const file = await openSafetensors(join(dir, WEIGHTS));
  try {
    // The header alone says whether they fit; only then are they read.
    const infos = Object.fromEntries(file.names.map((name) => [name, file.info(name)]));
    checkTensors(functions.shapes, infos, file.path);
    const tensors: Record<string, TensorData> = {};
    for (const name of file.names) tensors[name] = castTensor(await file.read(name), "float32");
    await checkFolder(dir); // last, since the checks above say more exactly what is wrong
    return { ...description, functions, tensors };
  } finally {
    await file.close();
  }
}

/**
 * Writes a text encoder's folder but for its tokenizer, whose files lie there already, or are put there before it is opened; `dir`
 * exists. Each file is replaced as a whole.
 * @param dtype of the file's tensors; loading turns them back into float32
 * @throws TensorARError where {@link loadTextEncoder} would refuse the result; nothing is written then
 */
export async function saveTextEncoder(
  dir: string,
  { tensors, functions: _, ...given }: TextEncoderFolder & Partial<LoadedTextEncoder>,
  dtype: FloatDType,
): Promise<void> {
  const description = parseTextEncoder(given, "saveTextEncoder") as Omit<TextEncoderFolder, "tensors">;
  checkTensors(functionsOf(description, "saveTextEncoder").shapes, tensors, "saveTextEncoder");
  const stored = Object.fromEntries(Object.entries(tensors).map(([name, tensor]) => [name, castTensor(tensor, dtype)]));
  await writeFileAtomic(join(dir, CONFIG), `${JSON.stringify(description, null, 2)}\n`);
  await writeSafetensors(join(dir, WEIGHTS), stored);
  await writeChecksums(dir, [CONFIG, WEIGHTS]);
}

/** @throws TensorARError naming the file that the configuration is from */
function functionsOf({ kind, encoder }: Omit<TextEncoderFolder, "tensors">, source: string): TokenEncoder {
  try {
    return TOKEN_ENCODERS[kind](encoder);
  } catch (cause) {
    if (!(cause instanceof TensorARError)) throw cause;
    throw new TensorARError(`${source}: ${cause.message}`, { cause });
  }
}

/** A loaded encoder made ready to run. */
async function openTokenEncoder(
  { functions, tensors }: Pick<LoadedTextEncoder, "functions" | "tensors">,
  runtime: EncoderRuntime | undefined,
): Promise<TokenRunner> {
  const { width } = functions;
  const params: Params = toParams(tensors);
  const program = textEncoderProgram(functions, params);
  if (!runtime) {
    return {
      width,
      run: async (ids, mask) => runProgram(program, { ids, mask }).features,
      dispose: async () => tf.dispose(params),
    };
  }
  try {
    const { run, dispose } = await compileEncoder(program, runtime);
    return { width, run: async (ids, mask) => (await run({ ids, mask })).features, dispose };
  } finally {
    tf.dispose(params);
  }
}
