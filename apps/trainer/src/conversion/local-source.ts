import { dirname } from "node:path";
import { fromHub, HUB } from "@tensorar/cli";
import { TensorARError } from "@tensorar/core";

/** What a repository may hold that converting reads. */
const WEIGHTS = /\.(safetensors|bin|pt|pth)$/;
const BESIDE = /^(tokenizer|tokenizer_config|[^/]*\.(safetensors|bin)\.index)\.json$/;

/**
 * A checkpoint's path on this machine. `hf://OWNER/NAME` is a Hugging Face repository, of which the weights are taken,
 * `hf://OWNER/NAME/FILE` one file of it.
 * @throws TensorARError when there is no such repository or file, or no network; the reason of `signal` when it aborts
 */
export async function localSource(source: string | undefined, signal: AbortSignal): Promise<string | undefined> {
  if (!source?.startsWith(HUB)) return source;
  return fromHub(source, { part: "FILE", instead: "file" }, signal, async (repository, file) => {
    if (file !== "") return (await repository.download([file]))[0];
    const paths = await repository.files({ recursive: false });
    const wanted = chooseFiles(paths);
    if (wanted.length === 0) throw new TensorARError(`it holds no weights, only ${paths.join(", ") || "nothing"}`);
    return dirname((await repository.download(wanted))[0]!);
  });
}

/** Files at the top of a repository: safetensors if there are any, and what stands beside them. */
function chooseFiles(paths: readonly string[]): string[] {
  const top = paths.filter((path) => !path.includes("/"));
  const weights = top.filter((path) => WEIGHTS.test(path));
  const safe = weights.filter((path) => path.endsWith(".safetensors"));
  const chosen = safe.length > 0 ? safe : weights;
  return chosen.length === 0 ? [] : [...top.filter((path) => BESIDE.test(path)), ...chosen];
}
