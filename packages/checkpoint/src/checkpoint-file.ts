import { type DType, quote, TensorARError, type TensorData } from "@tensorar/core";
import type { Limits } from "./limits";

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
  /**
   * What can't be read, by name, each with what it is: tensors among `names` of a type that is not supported
   * (`torch.complex64`), and objects beside them (`omegaconf.dictconfig.DictConfig`), which are never made.
   */
  readonly unreadable: ReadonlyMap<string, string>;
  /** Type and shape of a tensor. Throws TensorARError for an unknown name, and one of `unreadable`. */
  info(name: string): TensorInfo;
  /** Reads the bytes of this tensor alone, into an array of its own. Throws TensorARError as `info` does. */
  read(name: string): Promise<TensorData>;
  /**
   * The elements of a tensor, row-major, as pieces of rank 1 of at most 16 MB each; a tensor stored out of order comes
   * in one piece.
   */
  stream(name: string): AsyncIterable<TensorData>;
  close(): Promise<void>;
}

/** What may be read of a file, and which part is wanted. */
export interface OpenOptions {
  /**
   * Where in the file the tensors are: keys joined by dots (`ema`, `optimizer.state`), or "" for everything. Default: for
   * PyTorch files the first of `model`, `module`, `state_dict`, `model_state_dict`, `net`, `ema` that holds tensors, and again
   * inside of that; else everything.
   */
  readonly root?: string | undefined;
  /** What is cut from the beginning of names, such as `gpt.`; tensors whose names begin otherwise are left out. */
  readonly stripPrefix?: string | undefined;
  readonly limits?: Partial<Limits> | undefined;
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
    { code: "missing" },
  );
}

const LISTED = 8;

/** @throws TensorARError that lists all of `names` that can't be read */
export function expectReadable({ path, unreadable }: CheckpointFile, names: Iterable<string>): void {
  const found = [...names].flatMap((name) =>
    unreadable.has(name) ? [`${quote(name)} (${unreadable.get(name)})`] : [],
  );
  if (found.length === 0) return;
  const shown = found.slice(0, LISTED).join(", ") + (found.length > LISTED ? `, … (${found.length} in all)` : "");
  throw new TensorARError(`${path}: can't be read: ${shown}; save them as tensors of float32`, { code: "unsupported" });
}

/** What a file holds, for messages: `"model" (11 tensors), "args" (argparse.Namespace)`. */
export function contentsOf({ names, unreadable }: CheckpointFile): string {
  const groups = new Map<string, string | number>();
  const first = (name: string) => name.split(".", 1)[0]!;
  for (const [name, what] of unreadable) if (!groups.has(first(name))) groups.set(first(name), `an object of ${what}`);
  for (const name of names) {
    const count = groups.get(first(name));
    groups.set(first(name), typeof count === "number" ? count + 1 : 1);
  }
  if (groups.size === 0) return "nothing";
  const listed = [...groups].map(([name, held]) => {
    const what = typeof held === "string" ? held : `${held} tensor${held === 1 ? "" : "s"}`;
    return name === "" ? what : `${quote(name)} (${what})`;
  });
  return listed.slice(0, LISTED).join(", ") + (listed.length > LISTED ? `, … (${listed.length} in all)` : "");
}
