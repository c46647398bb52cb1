import type { FileHandle } from "node:fs/promises";
import { create, toBinary } from "@bufbuild/protobuf";
import {
  ModelProtoSchema,
  StringStringEntryProtoSchema,
  type TensorProto,
  TensorProto_DataLocation,
} from "./generated/onnx_pb";
import type { OnnxModel } from "./model";
import { PROTOBUF_LIMIT, toProto, weightBytes } from "./serialize";

export interface SaveOptions {
  /** Weights of more bytes than this in total go to `PATH.data` beside the file. Default: just under 2 GiB, protobuf's limit. */
  readonly externalDataThreshold?: number;
}

/** Tensors of fewer bytes stay in the file, where ONNX Runtime needs shapes and axes. */
const SMALLEST_EXTERNAL = 1024;
/** Offsets are multiples of a memory page, so that runtimes can map the weights. */
const ALIGNMENT = 4096;
/** Room in the file for everything that is no weight. */
const RESERVE = 2 ** 26;
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
  const proto = toProto(model);
  if (weightBytes(model) > (options.externalDataThreshold ?? PROTOBUF_LIMIT - RESERVE)) {
    const location = `${basename(path)}.data`;
    await replaceFile(`${path}.data`, async (file) => {
      let offset = 0;
      for (const tensor of proto.graph?.initializer ?? []) {
        if (tensor.rawData.length < SMALLEST_EXTERNAL) continue;
        offset = Math.ceil(offset / ALIGNMENT) * ALIGNMENT;
        await writeFully(file, tensor.rawData, offset);
        offset += moveOut(tensor, location, offset);
      }
    });
  }
  await replaceFile(path, (file) => writeFully(file, toBinary(ModelProtoSchema, proto), 0));
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

/** A single call may write less than it is given. */
async function writeFully(file: FileHandle, bytes: Uint8Array, position: number): Promise<void> {
  for (let done = 0; done < bytes.length; ) {
    const length = Math.min(bytes.length - done, LARGEST_WRITE);
    done += (await file.write(bytes, done, length, position + done)).bytesWritten;
  }
}

/** Makes the tensor refer to bytes in `location`; returns how many. */
function moveOut(tensor: TensorProto, location: string, offset: number): number {
  const { length } = tensor.rawData;
  const entries = { location, offset: String(offset), length: String(length) };
  tensor.externalData = Object.entries(entries).map(([key, value]) =>
    create(StringStringEntryProtoSchema, { key, value }),
  );
  tensor.dataLocation = TensorProto_DataLocation.EXTERNAL;
  tensor.rawData = new Uint8Array();
  return length;
}
