import { quote, RECOGNIZED_BYTES, TensorARError, type TensorData } from "@tensorar/core";
import { type Limits, limitsOf } from "../limits";
import { bytesOf, type TensorRecord, tensorFromBytes } from "../tensor";
import { headerLength, PREFIX_BYTES, parseHeader } from "./header";
import { layOut } from "./layout";

/**
 * The tensors of a safetensors file that is in memory. Tensors are views of `bytes` where they are aligned, copies
 * where they are not.
 *
 * @param source name of the file, for messages
 * @returns a record without prototype
 * @throws TensorARError on anything that the format does not allow
 */
export function parseSafetensors(
  bytes: Uint8Array,
  source = "safetensors bytes",
  limits: Partial<Limits> = {},
): TensorRecord {
  const first = bytes.subarray(0, RECOGNIZED_BYTES);
  const length = headerLength(first, bytes.byteLength, source, limitsOf(limits));
  const header = parseHeader(bytes.subarray(PREFIX_BYTES, PREFIX_BYTES + length), bytes.byteLength, source);
  const tensors: Record<string, TensorData> = Object.create(null);
  for (const [name, { dtype, stored, shape, begin, end }] of header.entries) {
    if (dtype === undefined)
      throw new TensorARError(
        `${source}: tensor ${quote(name)} can't be read (${quote(stored)}); convert it to float32`,
        {
          code: "unsupported",
        },
      );
    tensors[name] = tensorFromBytes(dtype, shape, bytes.subarray(begin, end));
  }
  return tensors;
}

/**
 * The bytes of a safetensors file. Equal contents give equal bytes, whatever the order of the record.
 *
 * @param metadata free text by name, stored in the header
 * @throws TensorARError when a tensor's dtype, shape and data disagree, or a name cannot be stored
 */
export function serializeSafetensors(
  tensors: TensorRecord,
  metadata: Readonly<Record<string, string>> = {},
): Uint8Array {
  const layout = layOut(tensors, metadata);
  const file = new Uint8Array(layout.fileBytes);
  file.set(layout.head);
  let offset = layout.head.byteLength;
  for (const tensor of layout.tensors) {
    file.set(bytesOf(tensor), offset);
    offset += tensor.data.byteLength;
  }
  return file;
}
