import type { FileHandle } from "node:fs/promises";
import { create } from "@bufbuild/protobuf";
import { StringStringEntryProtoSchema, type TensorProto, TensorProto_DataLocation } from "./generated/onnx_pb";
import type { OnnxModel } from "./model";
import { encodeModel, type Initializer, PROTOBUF_LIMIT, totalLength, writeGraph } from "./serialize";

export interface SaveOptions {
  /** The weights of a larger file (in bytes) go to `PATH.data` beside it. Default: just under 2 GiB, protobuf's limit. */
  readonly externalDataThreshold?: number;
}

/** Tensors of fewer bytes stay in the file, where ONNX Runtime needs shapes and axes. */
const SMALLEST_EXTERNAL = 1024;
/** Offsets are multiples of a memory page, so that runtimes can map the weights. */
const ALIGNMENT = 4096;
/** Bytes of one write call; the system takes less than 2^31. */
const LARGEST_WRITE = 2 ** 30;

/**
 * Writes an `.onnx` file (Node only), and `PATH.data` with the weights when they are too large for one file. Each file is
 * written under a temporary name beside it and renamed, so that a crash leaves the old one or the new.
 *
 * @throws the system's error when a file can't be written; nothing is left behind then
 */
export async function saveModel(model: OnnxModel, path: string, options: SaveOptions = {}): Promise<void> {
  const { basename } = await import("node:path");
  const { proto, initializers } = writeGraph(model);
  let chunks = encodeModel({ proto, initializers });
  if (totalLength(chunks) > (options.externalDataThreshold ?? PROTOBUF_LIMIT)) {
    await replaceFile(`${path}.data`, async (file) => {
      chunks = encodeModel({ proto, initializers: await moveOut(file, `${basename(path)}.data`, initializers) });
    });
  }
  await replaceFile(path, async (file) => {
    let offset = 0;
    for (const chunk of chunks) offset += await writeFully(file, chunk, offset);
  });
}

/** Writes the large tensors to the file; returns all of them, the large ones referring to `location`. */
async function moveOut(
  file: FileHandle,
  location: string,
  initializers: readonly Initializer[],
): Promise<readonly Initializer[]> {
  const moved: Initializer[] = [];
  let offset = 0;
  for (const initializer of initializers) {
    const { tensor, bytes } = initializer;
    if (!bytes || bytes.length < SMALLEST_EXTERNAL) {
      moved.push(initializer);
      continue;
    }
    offset = Math.ceil(offset / ALIGNMENT) * ALIGNMENT;
    moved.push({ tensor: external(tensor, { location, offset, length: bytes.length }) });
    offset += await writeFully(file, bytes, offset);
  }
  return moved;
}

async function replaceFile(path: string, write: (file: FileHandle) => Promise<void>): Promise<void> {
  const { open, rename, rm } = await import("node:fs/promises");
  const temporary = `${path}.${process.pid}-${Math.random().toString(36).slice(2)}.tmp`;
  try {
    const file = await open(temporary, "wx");
    try {
      await write(file);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(temporary, path);
  } catch (error) {
    await rm(temporary, { force: true });
    throw error;
  }
}

/** A single call may write less than it is given. Returns the number of bytes. */
async function writeFully(file: FileHandle, bytes: Uint8Array, position: number): Promise<number> {
  for (let done = 0; done < bytes.length; ) {
    const length = Math.min(bytes.length - done, LARGEST_WRITE);
    done += (await file.write(bytes, done, length, position + done)).bytesWritten;
  }
  return bytes.length;
}

function external(tensor: TensorProto, place: Readonly<Record<string, string | number>>): TensorProto {
  const externalData = Object.entries(place).map(([key, value]) =>
    create(StringStringEntryProtoSchema, { key, value: String(value) }),
  );
  return { ...tensor, externalData, dataLocation: TensorProto_DataLocation.EXTERNAL };
}
