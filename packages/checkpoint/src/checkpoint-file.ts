import { quote, TensorARError } from "@tensorar/core";
import type { DType, TensorData } from "./tensor";

/** Type and shape of a tensor. */
export interface TensorInfo {
  readonly dtype: DType;
  readonly shape: readonly number[];
}

/** An open checkpoint of any format, its description read and checked; elements are read on demand. */
export interface CheckpointFile {
  readonly path: string;
  /** Free text that the file stores about itself; empty for PyTorch files. */
  readonly metadata: Readonly<Record<string, string>>;
  readonly names: readonly string[];
  /** Type and shape of a tensor. Throws TensorARError for an unknown name. */
  info(name: string): TensorInfo;
  /** Reads the bytes of this tensor alone, into an array of its own. Throws TensorARError for an unknown name. */
  read(name: string): Promise<TensorData>;
  /**
   * The elements of a tensor, row-major, as pieces of rank 1 of at most 16 MB each; a tensor stored out of order comes
   * in one piece.
   */
  stream(name: string): AsyncIterable<TensorData>;
  close(): Promise<void>;
}

/** Bytes of a piece: large enough for the disk's full speed, small beside any model. */
export const PIECE_BYTES = 2 ** 24;

/** What `entries` holds under `name`; throws TensorARError where it holds nothing. */
export function findTensor<Entry>(entries: ReadonlyMap<string, Entry>, name: string, path: string): Entry {
  const entry = entries.get(name);
  if (entry !== undefined) return entry;
  const some = [...entries.keys()].slice(0, 3).map(quote).join(", ");
  throw new TensorARError(
    `${path}: there is no tensor ${quote(name)}; it holds ${entries.size}${some && `, such as ${some}`}`,
  );
}

/** Prefixes that wrappers put before every name: (Distributed)DataParallel and DeepSpeed, torch.compile. */
export const WRAPPER_PREFIXES: readonly string[] = ["module.", "_orig_mod."];

/**
 * Names without the prefixes that all of them share, removed again and again: `module._orig_mod.a` becomes `a`. A prefix
 * that only some names have stays, so different names stay different.
 */
export function withoutPrefixes(names: readonly string[], prefixes: readonly string[]): string[] {
  let short = [...names];
  for (;;) {
    const shared = prefixes.find(
      (prefix) =>
        prefix !== "" &&
        short.length > 0 &&
        short.every((name) => name.length > prefix.length && name.startsWith(prefix)),
    );
    if (shared === undefined) return short;
    short = short.map((name) => name.slice(shared.length));
  }
}

/** The same file under shorter names (see {@link withoutPrefixes}). */
export function stripped(file: CheckpointFile, prefixes: readonly string[]): CheckpointFile {
  const names = withoutPrefixes(file.names, prefixes);
  const full = new Map(names.map((name, i) => [name, file.names[i]!]));
  const find = (name: string) => findTensor(full, name, file.path);
  return {
    ...file,
    names,
    info: (name) => file.info(find(name)),
    read: async (name) => file.read(find(name)),
    stream: (name) => file.stream(find(name)),
  };
}
