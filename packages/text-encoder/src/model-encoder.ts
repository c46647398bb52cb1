import { stat } from "node:fs/promises";
import { join, relative, resolve } from "node:path";
import { TensorARError } from "@tensorar/core";
import { fileError, readJson } from "@tensorar/core/node";
import { MODEL_FOLDER } from "@tensorar/model";

/** The folder inside of a model folder that holds its text encoder, where `config.json` names no other. */
export const TEXT_ENCODER = "text-encoder";

/**
 * The folder of a model's text encoder: what `textEncoder` of its `config.json` names, relative to the model's folder, or else
 * `text-encoder` inside of it.
 *
 * @param modelDir model folder
 * @throws TensorARError (`missing`) that says what to do when there is none
 */
export async function textEncoderOf(modelDir: string): Promise<string> {
  const found = await findTextEncoder(modelDir);
  if (found !== undefined) return found;
  throw missing(join(modelDir, TEXT_ENCODER), "");
}

/**
 * As {@link textEncoderOf}, for those who can do without.
 * @returns undefined where no encoder is named, and none is inside
 * @throws TensorARError (`missing`) where one is named that is not there
 */
export async function findTextEncoder(modelDir: string): Promise<string | undefined> {
  const named = await namedEncoder(modelDir);
  const dir = named ?? join(modelDir, TEXT_ENCODER);
  if (await isFolder(dir)) return dir;
  if (named === undefined) return undefined;
  throw missing(dir, `, where "textEncoder" of ${join(modelDir, "config.json")} says that it is`);
}

const missing = (dir: string, why: string): TensorARError =>
  new TensorARError(
    `${dir}: there is no text encoder${why}; put that of the model there, which it needs to read prompts, for instance with ` +
      `\`tensorar convert --from t5 --model flan-t5-xl hf://google/flan-t5-xl --output ${dir}\``,
    { code: "missing" },
  );

/**
 * What `config.json` of a model says of its text encoder, where the model is made from another and has the same.
 * @param base folder of the other model
 * @param modelDir where the model's folder will be
 */
export async function inheritedTextEncoder(base: string, modelDir: string): Promise<{ readonly textEncoder?: string }> {
  const inside = join(base, TEXT_ENCODER);
  const dir = (await namedEncoder(base)) ?? ((await isFolder(inside)) ? inside : undefined);
  return dir === undefined ? {} : { textEncoder: textEncoderPath(dir, modelDir) };
}

async function namedEncoder(modelDir: string): Promise<string | undefined> {
  const { textEncoder } = Object(await readJson(join(modelDir, "config.json"), MODEL_FOLDER));
  return typeof textEncoder === "string" ? resolve(modelDir, textEncoder) : undefined;
}

/**
 * What `textEncoder` of a model that is written elsewhere says, for the encoder of this one.
 * @param encoderDir folder of the encoder
 * @param modelDir where the model's folder will be
 */
export const textEncoderPath = (encoderDir: string, modelDir: string): string =>
  relative(resolve(modelDir), resolve(encoderDir)).replaceAll("\\", "/");

const isFolder = (path: string): Promise<boolean> =>
  stat(path).then(
    (status) => status.isDirectory(),
    (cause: NodeJS.ErrnoException) => {
      if (cause.code === "ENOENT" || cause.code === "ENOTDIR") return false;
      throw fileError("look at", path, cause);
    },
  );
