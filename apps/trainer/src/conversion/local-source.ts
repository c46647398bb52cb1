import { stat } from "node:fs/promises";
import { dirname } from "node:path";
import { downloadFileToCacheDir, listFiles } from "@huggingface/hub";
import { startProgress } from "@tensorar/cli";
import { TensorARError } from "@tensorar/core";

const SCHEME = "hf://";
/** What a repository may hold that converting reads. */
const WEIGHTS = /\.(safetensors|bin|pt|pth)$/;
const BESIDE = /^(tokenizer|tokenizer_config|[^/]*\.(safetensors|bin)\.index)\.json$/;

/**
 * A checkpoint's path on this machine. `hf://OWNER/NAME` is a Hugging Face repository, of which the weights are taken,
 * `hf://OWNER/NAME/FILE` one file of it; what was downloaded once is found again. `HF_ENDPOINT` and `HF_TOKEN` are read.
 * @throws TensorARError when there is no such repository or file, or no network
 */
export async function localSource(source: string | undefined): Promise<string | undefined> {
  if (!source?.startsWith(SCHEME)) return source;
  const [owner, name, ...rest] = source.slice(SCHEME.length).split("/");
  if (!owner || !name)
    throw new TensorARError(`${source} names no repository; write hf://OWNER/NAME or hf://OWNER/NAME/FILE`);
  const repo = `${owner}/${name}`;
  const file = rest.join("/");
  const access = {
    repo,
    ...(process.env.HF_ENDPOINT && { hubUrl: process.env.HF_ENDPOINT }),
    ...(process.env.HF_TOKEN && { accessToken: process.env.HF_TOKEN }),
  };
  try {
    if (file !== "") return await downloadFileToCacheDir({ ...access, path: file });
    const paths: string[] = [];
    for await (const { type, path } of listFiles(access)) if (type === "file") paths.push(path);
    const wanted = chooseFiles(paths);
    if (wanted.length === 0) throw new TensorARError(`it holds no weights, only ${paths.join(", ") || "nothing"}`);
    const progress = startProgress(`download ${repo}`, wanted.length, "files");
    let folder = "";
    for (const [i, path] of wanted.entries()) {
      folder = dirname(await downloadFileToCacheDir({ ...access, path }));
      progress.update(i + 1);
    }
    progress.stop();
    await stat(folder);
    return folder;
  } catch (cause) {
    const { message } = cause as Error;
    throw new TensorARError(`${source}: ${message}; check the name and the network, or give a local file`, { cause });
  }
}

/** Files at the top of a repository: safetensors if there are any, and what stands beside them. */
function chooseFiles(paths: readonly string[]): string[] {
  const top = paths.filter((path) => !path.includes("/"));
  const weights = top.filter((path) => WEIGHTS.test(path));
  const safe = weights.filter((path) => path.endsWith(".safetensors"));
  const chosen = safe.length > 0 ? safe : weights;
  return chosen.length === 0 ? [] : [...top.filter((path) => BESIDE.test(path)), ...chosen];
}
