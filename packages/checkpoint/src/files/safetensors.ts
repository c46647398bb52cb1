import { quote, RECOGNIZED_BYTES, TensorARError, type TensorData } from "@tensorar/core";
import { replaceFile } from "@tensorar/core/node";
import { type CheckpointFile, expectReadable, findTensor, PIECE_BYTES } from "../checkpoint-file";
import { expectWithin, type Limits, limitsOf } from "../limits";
import { type Header, headerLength, PREFIX_BYTES, parseHeader } from "../safetensors/header";
import { layOut } from "../safetensors/layout";
import type { ByteSource } from "../source";
import { bytesOf, bytesPerElement, type TensorRecord, tensorFromBytes } from "../tensor";
import { withSource } from "./source";

/** An open safetensors file whose header is checked; tensors are read one at a time. */
export interface SafetensorsFile extends CheckpointFile {
  /**
   * Reads some rows of a tensor alone: those from `first` to before `end` of its first axis.
   * @throws TensorARError as `info` does, and where there are no such rows
   */
  readRows(name: string, first: number, end: number): Promise<TensorData>;
}

/**
 * Opens a safetensors file and checks its header; the caller closes it.
 *
 * @throws TensorARError when the file cannot be read, or is not as the format demands
 */
export const openSafetensors = (
  path: string,
  { limits }: { readonly limits?: Partial<Limits> } = {},
): Promise<SafetensorsFile> => withSource(path, (source) => openSafetensorsSource(source, limits));

export async function openSafetensorsSource(source: ByteSource, given?: Partial<Limits>): Promise<SafetensorsFile> {
  const limits = limitsOf(given);
  const first = await source.read(0, Math.min(RECOGNIZED_BYTES, source.size));
  const length = headerLength(first, source.size, source.name, limits);
  const bytes = await source.read(PREFIX_BYTES, PREFIX_BYTES + length);
  return safetensorsFile(source, parseHeader(bytes, source.size, source.name), limits);
}

/** Reads all tensors of a file, one after another, into arrays of their own; a record without prototype. */
export async function readSafetensors(path: string): Promise<TensorRecord> {
  return readAll(await openSafetensors(path));
}

/** All tensors of an open file, which is closed then. @throws TensorARError that lists those that can't be read */
export async function readAll(file: CheckpointFile): Promise<TensorRecord> {
  try {
    expectReadable(file, file.names);
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
  await replaceFile(path, async (put) => {
    await put(layout.head);
    for (const tensor of layout.tensors) await put(bytesOf(tensor));
  });
}

function safetensorsFile(source: ByteSource, { metadata, entries }: Header, limits: Limits): SafetensorsFile {
  const unreadable = [...entries].flatMap(([name, { dtype, stored }]) =>
    dtype === undefined ? [[name, stored] as const] : [],
  );
  const find = (name: string) => readableEntry(entries, name, source.name);
  return {
    path: source.name,
    metadata,
    names: [...entries.keys()],
    unreadable: new Map(unreadable),
    info(name) {
      const { dtype, shape } = find(name);
      return { dtype, shape };
    },
    async read(name) {
      const { dtype, shape, begin, end } = find(name);
      expectWithin(limits, "tensorBytes", end - begin, `${source.name}: tensor ${quote(name)}`);
      return tensorFromBytes(dtype, shape, await source.read(begin, end));
    },
    async readRows(name, first, end) {
      const { dtype, shape, begin } = find(name);
      const [rows = 0, ...row] = shape;
      expectRange(first, end, rows, `${source.name}: rows ${first} to ${end} of ${quote(name)}`);
      const bytes = row.reduce((product, size) => product * size, bytesPerElement(dtype));
      expectWithin(limits, "tensorBytes", (end - first) * bytes, `${source.name}: tensor ${quote(name)}`);
      const read = await source.read(begin + first * bytes, begin + end * bytes);
      return tensorFromBytes(dtype, [end - first, ...row], read);
    },
    async *stream(name) {
      const { dtype, begin, end } = find(name);
      for (let at = begin; at < end; at += PIECE_BYTES) {
        const bytes = await source.read(at, Math.min(at + PIECE_BYTES, end));
        yield tensorFromBytes(dtype, [bytes.byteLength / bytesPerElement(dtype)], bytes);
      }
    },
    close: () => source.close(),
  };
}

/** @throws TensorARError where there is no such tensor, or its elements are of a type that is not supported */
function readableEntry(entries: Header["entries"], name: string, path: string) {
  const { dtype, stored, ...entry } = findTensor(entries, name, path);
  if (dtype !== undefined) return { ...entry, dtype };
  throw new TensorARError(`${path}: tensor ${quote(name)} can't be read (${quote(stored)}); convert it to float32`, {
    code: "unsupported",
  });
}

/** @throws TensorARError where these are no rows of so many */
function expectRange(first: number, end: number, rows: number, where: string): void {
  if (Number.isInteger(first) && Number.isInteger(end) && first >= 0 && first <= end && end <= rows) return;
  throw new TensorARError(`${where}, which has ${rows === 0 ? "none" : rows}`);
}
