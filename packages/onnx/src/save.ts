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

/** Initializers smaller than this stay in the file, where ONNX Runtime needs shapes and axes. */
const SMALLEST_EXTERNAL = 1024;
/** Offsets are multiples of a memory page, so that runtimes can map the weights. */
const ALIGNMENT = 4096;
/** Room in the file for everything that is no weight. */
const RESERVE = 2 ** 26;

/** Writes an `.onnx` file (Node only), and `PATH.data` with the weights when they are too large for one file. */
export async function saveModel(model: OnnxModel, path: string, options: SaveOptions = {}): Promise<void> {
  const { open, rename, writeFile } = await import("node:fs/promises");
  const { basename } = await import("node:path");
  const proto = toProto(model);
  if (weightBytes(model) > (options.externalDataThreshold ?? PROTOBUF_LIMIT - RESERVE)) {
    const location = `${basename(path)}.data`;
    const file = await open(`${path}.data.tmp`, "w");
    try {
      let offset = 0;
      for (const tensor of proto.graph?.initializer ?? []) {
        if (tensor.rawData.length < SMALLEST_EXTERNAL) continue;
        offset = Math.ceil(offset / ALIGNMENT) * ALIGNMENT;
        await file.write(tensor.rawData, 0, tensor.rawData.length, offset);
        offset += moveOut(tensor, location, offset);
      }
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(`${path}.data.tmp`, `${path}.data`);
  }
  await writeFile(`${path}.tmp`, toBinary(ModelProtoSchema, proto));
  await rename(`${path}.tmp`, path);
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
