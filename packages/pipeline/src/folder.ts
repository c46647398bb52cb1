import { quote, recognize, TensorARError } from "@tensorar/core";

/** A file that is being read. In bytes; `total` is unknown where a server does not say it. */
export interface LoadProgress {
  readonly file: string;
  readonly loaded: number;
  readonly total: number | undefined;
}

/** How the files of a folder are read. */
export interface ReadOptions {
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: ((progress: LoadProgress) => void) | undefined;
}

/** A folder of files, wherever it is. */
export interface Folder {
  /** Path or URL, for messages. */
  readonly where: string;
  /** Path or URL of a file in it. */
  nameOf(file: string): string;
  /** The path of a file, where ONNX Runtime opens files by path. */
  readonly pathOf?: (file: string) => string;
  /** @throws TensorARError, `missing` where there is no such file */
  read(file: string): Promise<Uint8Array>;
  /** The folder by this relative path. */
  at(path: string): Folder;
}

/** A folder on a server. @param url of the folder */
export function remoteFolder(url: URL, options: ReadOptions): Folder {
  const base = new URL(url);
  if (!base.pathname.endsWith("/")) base.pathname += "/";
  const nameOf = (file: string) => new URL(file, base).href;
  return {
    where: base.href,
    nameOf,
    at: (path) => remoteFolder(new URL(path, base), options),
    read: (file) => download(nameOf(file), file, options),
  };
}

/** Files of a folder by their path in it, such as those that a user drops on a page. */
export type FolderFiles = ReadonlyMap<string, Blob>;

/** A folder whose files are at hand. @param base path of the folder in `files`, empty or with a slash at its end */
export function folderOf(files: FolderFiles, options: ReadOptions, base = ""): Folder {
  const nameOf = (file: string) => base + file;
  return {
    where: base === "" ? "the folder" : base,
    nameOf,
    at: (path) => folderOf(files, options, within(base, path)),
    async read(file) {
      const name = nameOf(file);
      const blob = files.get(name);
      if (blob === undefined) throw new TensorARError(`${name}: there is no such file`, { code: "missing" });
      const { signal, onProgress } = options;
      onProgress?.({ file, loaded: 0, total: blob.size });
      const contents = await blob.arrayBuffer().catch((cause: Error) => {
        throw new TensorARError(`${name}: ${cause.message}; give the folder again`, { code: "io", cause });
      });
      signal?.throwIfAborted();
      onProgress?.({ file, loaded: blob.size, total: blob.size });
      return new Uint8Array(contents);
    },
  };
}

/** A folder's path by a relative one, with slashes at both ends. */
function within(base: string, path: string): string {
  const parts = base.split("/").slice(0, -1);
  for (const part of path.split("/").slice(0, -1)) {
    if (part === "..") parts.pop();
    else parts.push(part);
  }
  return parts.map((part) => `${part}/`).join("");
}

async function download(url: string, file: string, { signal, onProgress }: ReadOptions): Promise<Uint8Array> {
  const failed = (cause: unknown): never => {
    signal?.throwIfAborted();
    const { message } = cause as Error;
    throw new TensorARError(`${url}: ${message}; check the address and the connection`, { code: "io", cause });
  };
  const response = await fetch(url, signal ? { signal } : {}).catch(failed);
  if (!response.ok) {
    const code = response.status === 404 ? "missing" : "io";
    throw new TensorARError(`${url}: the server answers ${response.status}`, { code });
  }
  const length = response.headers.get("content-length");
  // A compressed response is as long as it says before it is unpacked.
  const total = length === null || response.headers.has("content-encoding") ? undefined : Number(length);
  const parts: Uint8Array[] = [];
  let loaded = 0;
  const reader = response.body?.getReader();
  onProgress?.({ file, loaded, total });
  for (;;) {
    const { done, value } = (await reader?.read().catch(failed)) ?? { done: true, value: undefined };
    if (done) break;
    parts.push(value);
    loaded += value.length;
    onProgress?.({ file, loaded, total });
  }
  if (total !== undefined && loaded < total)
    throw new TensorARError(`${url}: ${loaded} of ${total} bytes arrived; load it again`, { code: "io" });
  return joined(parts, loaded);
}

function joined(parts: readonly Uint8Array[], length: number): Uint8Array {
  const all = new Uint8Array(length);
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}

/** @throws TensorARError when a file of numbers is a web page, a pointer of Git LFS or the like */
export function refuseOther(bytes: Uint8Array, name: string): void {
  const found = recognize(bytes);
  const texts = ["empty", "zeros", "lfs", "html", "xml", "json", "text"];
  if (found && texts.includes(found.kind)) throw new TensorARError(`${name}: it is ${found.what}; ${found.remedy}`);
}

const HUB = /^hf:\/\/([^/]+\/[^/]+)\/?(.*)$/;

/** The address that a string is, if it is one; `hf://OWNER/NAME/FOLDER` is of a Hugging Face repository. */
export function urlOf(source: string | URL, base?: string): URL | undefined {
  if (source instanceof URL) return source;
  if (typeof source !== "string" || source === "")
    throw new TensorARError(`load: ${quote(source)} names no model; give a folder, a URL, or the name of weights`);
  const [, repository, folder] = HUB.exec(source) ?? [];
  if (repository !== undefined) return new URL(`https://huggingface.co/${repository}/resolve/main/${folder}`);
  if (!/^[a-z][a-z0-9+.-]+:/i.test(source) && base === undefined) return undefined;
  return new URL(source, base);
}
