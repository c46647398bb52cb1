import { type FileHandle, open } from "node:fs/promises";
import { quote, TensorARError } from "../errors";
import { type Header, type HeaderEntry, headerLength, PREFIX_BYTES, parseHeader } from "../safetensors/header";
import { layOut } from "../safetensors/layout";
import { bytesOf, type DType, type TensorData, type TensorRecord, tensorFromBytes } from "../tensor";
import { MAX_TRANSFER_BYTES, replaceFile, writeFully } from "./atomic";
import { fileError } from "./errors";

/** An open safetensors file whose header is checked; tensors are read one at a time. */
export interface SafetensorsFile {
  readonly path: string;
  /** Free text of the header. */
  readonly metadata: Readonly<Record<string, string>>;
  readonly names: readonly string[];
  /** Type and shape of a tensor. Throws TensorARError for an unknown name. */
  info(name: string): { readonly dtype: DType; readonly shape: readonly number[] };
  /** Reads the bytes of this tensor alone, into an array of its own. Throws TensorARError for an unknown name. */
  read(name: string): Promise<TensorData>;
  close(): Promise<void>;
}

/**
 * Opens a safetensors file and checks its header; the caller closes it.
 *
 * @throws TensorARError when the file cannot be read, or is not as the format demands
 */
export async function openSafetensors(path: string): Promise<SafetensorsFile> {
  const handle = await open(path, "r").catch((cause) => {
    throw fileError("open", path, cause);
  });
  try {
    return safetensorsFile(path, handle, await readHeader(path, handle));
  } catch (cause) {
    await handle.close();
    throw fileError("read", path, cause);
  }
}

/** Reads all tensors of a file, one after another, into arrays of their own; a record without prototype. */
export async function readSafetensors(path: string): Promise<TensorRecord> {
  const file = await openSafetensors(path);
  try {
    const tensors: Record<string, TensorData> = Object.create(null);
    for (const name of file.names) tensors[name] = await file.read(name);
    return tensors;
  } finally {
    await file.close();
  }
}

/**
 * Writes a safetensors file atomically (see `writeFileAtomic`), tensor by tensor, without a copy of the whole in
 * memory. The tensors must not change until it is done. Equal contents give equal files.
 *
 * @param metadata free text by name, stored in the header
 * @throws TensorARError when a tensor is malformed or the system refuses; an old file is then as it was
 */
export async function writeSafetensors(
  path: string,
  tensors: TensorRecord,
  metadata: Readonly<Record<string, string>> = {},
): Promise<void> {
  const layout = layOut(tensors, metadata);
  await replaceFile(path, async (handle) => {
    await writeFully(handle, layout.head);
    for (const tensor of layout.tensors) await writeFully(handle, bytesOf(tensor));
  });
}

async function readHeader(path: string, handle: FileHandle): Promise<Header> {
  const stats = await handle.stat();
  if (!stats.isFile()) throw new TensorARError(`cannot read "${path}": it is not a file; give the path of one`);
  const prefix = await readRange(path, handle, 0, Math.min(PREFIX_BYTES, stats.size));
  const length = headerLength(prefix, stats.size, path);
  const bytes = await readRange(path, handle, PREFIX_BYTES, PREFIX_BYTES + length);
  return parseHeader(bytes, stats.size, path);
}

function safetensorsFile(path: string, handle: FileHandle, { metadata, entries }: Header): SafetensorsFile {
  const find = (name: string): HeaderEntry => {
    const entry = entries.get(name);
    if (entry !== undefined) return entry;
    const some = [...entries.keys()].slice(0, 3).map(quote).join(", ");
    throw new TensorARError(
      `${path}: there is no tensor ${quote(name)}; it holds ${entries.size}${some && `, such as ${some}`}`,
    );
  };
  return {
    path,
    metadata,
    names: [...entries.keys()],
    info(name) {
      const { dtype, shape } = find(name);
      return { dtype, shape };
    },
    async read(name) {
      const { dtype, shape, begin, end } = find(name);
      return tensorFromBytes(dtype, shape, await readRange(path, handle, begin, end));
    },
    close: () => handle.close(),
  };
}

async function readRange(path: string, handle: FileHandle, begin: number, end: number): Promise<Uint8Array> {
  const bytes = new Uint8Array(end - begin);
  for (let filled = 0; filled < bytes.byteLength; ) {
    const length = Math.min(bytes.byteLength - filled, MAX_TRANSFER_BYTES);
    const { bytesRead } = await handle.read(bytes, filled, length, begin + filled).catch((cause) => {
      throw fileError("read", path, cause);
    });
    if (bytesRead === 0) {
      throw new TensorARError(`${path}: it ended at byte ${begin + filled} while being read; it was cut meanwhile`);
    }
    filled += bytesRead;
  }
  return bytes;
}
