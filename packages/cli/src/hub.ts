import { dirname as nativeDirname } from "node:path";
import { dirname, join } from "node:path/posix"; // as paths in repositories are
import { TensorARError } from "@tensorar/core";
import { fromHub } from "./hub-repository";

/** What folders of models, tokenizers and text encoders hold. */
const FILES = /\.(json|jsonl|safetensors|onnx|data|txt)$/;

/**
 * The folder on this machine of weights in a Hugging Face repository, `hf://OWNER/NAME` or `hf://OWNER/NAME/PART`, with the
 * tokenizers beside it.
 *
 * @param usual folder of a repository that holds several, where no part is named
 * @throws TensorARError when there are no such weights, or no network; the reason of `signal` when it aborts
 */
export const hubFolder = (source: string, usual: string, signal: AbortSignal): Promise<string> =>
  fromHub(source, { part: "PART", instead: "folder" }, signal, async (repository, part) => {
    const paths = await repository.files({ recursive: true });
    const folder = folderIn(paths, part, usual);
    const wanted = filesOf(paths, folder);
    const files = await repository.download(wanted);
    return nativeDirname(files[wanted.indexOf(join(folder, "config.json"))]!);
  });

/** The folder of a repository that holds what is wanted, "." for its top. */
function folderIn(paths: readonly string[], part: string, usual: string): string {
  const places = part === "" ? [".", usual] : [part];
  const found = places.find((place) => paths.includes(join(place, "config.json")));
  if (found !== undefined) return found;
  const names = places.map((place) => join(place, "config.json")).join(" or ");
  throw new TensorARError(`it holds no ${names}, only ${paths.join(", ") || "nothing"}`);
}

/** Files of a folder, without its checkpoints, and of the tokenizers in it and beside it. */
function filesOf(paths: readonly string[], folder: string): string[] {
  const folders = [folder, dirname(folder)].flatMap((place) => [join(place, "tokenizer"), join(place, "text-encoder")]);
  return paths.filter((path) => [folder, ...folders].includes(dirname(path)) && FILES.test(path));
}
