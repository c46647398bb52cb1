import { TensorARError } from "@tensorar/core";
import { startProgress } from "./progress";

/** What names of repositories begin with. */
export const HUB = "hf://";

/** A repository of the Hugging Face Hub. */
export interface HubRepository {
  /** Paths of its files: at the top, or in all folders. */
  files(options: { readonly recursive: boolean }): Promise<string[]>;
  /** Their paths on this machine, in the same order; what was downloaded once is found again. */
  download(paths: readonly string[]): Promise<string[]>;
}

/** What a message says of a name: what may follow the repository's, and what may be given instead. */
export interface HubWords {
  readonly part: string;
  readonly instead: string;
}

/**
 * Uses a repository that `hf://OWNER/NAME` names, and what follows it. `HF_ENDPOINT` and `HF_TOKEN` are read.
 *
 * @throws TensorARError when the name is none, there is no such repository or file, or no network; the reason of `signal` when it aborts
 */
export async function fromHub<T>(
  source: string,
  words: HubWords,
  signal: AbortSignal,
  use: (repository: HubRepository, path: string) => Promise<T>,
): Promise<T> {
  const [owner, name, ...rest] = source.slice(HUB.length).replace(/\/+$/, "").split("/");
  if (!owner || !name)
    throw new TensorARError(`${source} names no repository; write hf://OWNER/NAME or hf://OWNER/NAME/${words.part}`);
  try {
    return await use(await repositoryOf(`${owner}/${name}`, signal), rest.join("/"));
  } catch (cause) {
    signal.throwIfAborted();
    const { message } = cause as Error;
    throw new TensorARError(`${source}: ${message}; check the name and the network, or give a local ${words.instead}`, {
      cause,
    });
  }
}

async function repositoryOf(repo: string, signal: AbortSignal): Promise<HubRepository> {
  const { downloadFileToCacheDir, listFiles } = await import("@huggingface/hub"); // not for every command line
  const access = {
    repo,
    fetch: (input: string | URL | Request, init?: RequestInit) => fetch(input, { ...init, signal }),
    ...(process.env.HF_ENDPOINT && { hubUrl: process.env.HF_ENDPOINT }),
    ...(process.env.HF_TOKEN && { accessToken: process.env.HF_TOKEN }),
  };
  return {
    async files({ recursive }) {
      const paths: string[] = [];
      for await (const { type, path } of listFiles({ ...access, recursive })) if (type === "file") paths.push(path);
      return paths;
    },
    async download(paths) {
      const progress = startProgress(`download ${repo}`, paths.length, "files");
      const files: string[] = [];
      for (const path of paths) {
        files.push(await downloadFileToCacheDir({ ...access, path }));
        progress.update(files.length);
      }
      progress.stop();
      return files;
    },
  };
}
