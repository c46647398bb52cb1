import { join } from "node:path";
import { castTensor, type FloatDType, type TensorData } from "@tensorar/checkpoint";
import { openSafetensors, writeSafetensors } from "@tensorar/checkpoint/node";
import { checkFolder, readJson, settleFolder, writeChecksums, writeFileAtomic } from "@tensorar/core/node";
import { checkTensors } from "./check-tensors";
import {
  checkDescription,
  checkModel,
  type LoadedModel,
  MODEL_FOLDER,
  type ModelFolder,
  type OwnBackbone,
} from "./model-description";

const CONFIG = "config.json";
const WEIGHTS = "model.safetensors";

/**
 * Reads a model folder: `config.json` and `model.safetensors`, whose tensors may be of any floating-point type.
 * @param own the backbone of a model of kind `own`, see `loadBackbone`
 * @throws TensorARError naming the file and what is wrong with it: missing, damaged (see `checkFolder`), a configuration that
 *   is not valid, tensors that do not fit it
 */
export async function loadModel(dir: string, own?: OwnBackbone): Promise<LoadedModel> {
  await settleFolder(dir);
  const path = join(dir, CONFIG);
  const { description, model } = checkDescription(await readJson(path, MODEL_FOLDER), path, own);
  const file = await openSafetensors(join(dir, WEIGHTS));
  try {
    // The header alone says whether they fit; only then are they read.
    checkTensors(model.shapes, Object.fromEntries(file.names.map((name) => [name, file.info(name)])), file.path);
    const tensors: Record<string, TensorData> = {};
    for (const name of file.names) tensors[name] = castTensor(await file.read(name), "float32");
    await checkFolder(dir); // last, since the checks above say more exactly what is wrong
    return { ...description, model, tensors };
  } finally {
    await file.close();
  }
}

/**
 * Writes a model folder; `dir` exists already. Each of its files is replaced as a whole, and a folder of which a crash left
 * only some is refused when it is loaded.
 * @param dtype of the file's tensors; float16 halves it, and loading turns it back into float32
 * @param own the backbone of a model of kind `own`
 * @throws TensorARError where {@link loadModel} would refuse the result; nothing is written then
 */
export async function saveModel(
  dir: string,
  { tensors, model: _, ...description }: ModelFolder & Partial<LoadedModel>,
  dtype: FloatDType,
  own?: OwnBackbone,
): Promise<void> {
  checkTensors(checkModel("saveModel", description, own).shapes, tensors, "saveModel");
  const stored = Object.fromEntries(Object.entries(tensors).map(([name, tensor]) => [name, castTensor(tensor, dtype)]));
  await writeFileAtomic(join(dir, CONFIG), `${JSON.stringify(description, null, 2)}\n`);
  await writeSafetensors(join(dir, WEIGHTS), stored);
  await writeChecksums(dir, [CONFIG, WEIGHTS]);
}
