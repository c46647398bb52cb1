import { dirname as nativeDirname } from "node:path";
import { dirname, join } from "node:path/posix"; // as paths in repositories are
import { TensorARError } from "@tensorar/core";
import { startProgress } from "./progress";

/** What names of repositories begin with. */
export const HUB = "hf://";

/** What folders of models, tokenizers and text encoders hold. */
const FILES = /\.(json|jsonl|safetensors|onnx|data|txt)$/;

/**
 * The folder on this machine of weights in a Hugging Face repository, `hf://OWNER/NAME` or `hf://OWNER/NAME/PART`, with the
 * tokenizers beside it; what was downloaded once is found again. `HF_ENDPOINT` and `HF_TOKEN` are read.
 *
 * @param usual folder of a repository that holds several, where no part is named
 * @throws TensorARError when there are no such weights, or no network; the reason of `signal` when it aborts
 */
export async function hubFolder(source: string, usual: string, signal: AbortSignal): Promise<string> {
  const [owner, name, ...part] = source.slice(HUB.length).replace(/\/+$/, "").split("/");
  if (!owner || !name)
    throw new TensorARError(`${source} names no repository; write hf://OWNER/NAME or hf://OWNER/NAME/PART`);
  const { downloadFileToCacheDir, listFiles } = await import("@huggingface/hub"); // not for every command line
  const access = {
    repo: `${owner}/${name}`,
    fetch: (input: string | URL | Request, init?: RequestInit) => fetch(input, { ...init, signal }),
    ...(process.env.HF_ENDPOINT && { hubUrl: process.env.HF_ENDPOINT }),
    ...(process.env.HF_TOKEN && { accessToken: process.env.HF_TOKEN }),
  };
  try {
    const paths: string[] = [];
    for await (const { type, path } of listFiles({ ...access, recursive: true })) if (type === "file") paths.push(path);
    const folder = folderIn(paths, part.join("/"), usual);
    const wanted = filesOf(paths, folder);
    const progress = startProgress(`download ${access.repo}`, wanted.length, "files");
    let config = "";
    for (const [i, path] of wanted.entries()) {
      const file = await downloadFileToCacheDir({ ...access, path });
      if (path === join(folder, "config.json")) config = file;
      progress.update(i + 1);
    }
    progress.stop();
    return nativeDirname(config);
  } catch (cause) {
    signal.throwIfAborted();
    const { message } = cause as Error;
    throw new TensorARError(`${source}: ${message}; check the name and the network, or give a local folder`, { cause });
  }
}

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
