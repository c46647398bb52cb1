import { quote, TensorARError, type TensorData } from "@tensorar/core";
import type { TensorInfo } from "../checkpoint-file";
import { bytesPerElement, checkTensor, elementCount, type TensorRecord } from "../tensor";
import { checkName, MAX_HEADER_BYTES, METADATA_NAME, PREFIX_BYTES, STORED_DTYPES } from "./header";

/** What a file will hold: its first bytes, then the tensors' elements in this order. */
export interface Plan {
  /** Length, header and padding; a multiple of 8 bytes. */
  readonly head: Uint8Array;
  readonly names: readonly string[];
  /** Size of the file. */
  readonly fileBytes: number;
}

/** A {@link Plan} with its tensors. */
export interface Layout extends Plan {
  readonly tensors: readonly TensorData[];
}

/**
 * Plans a file of these tensors.
 *
 * @throws TensorARError when a tensor's dtype, shape and data disagree, or a name cannot be stored
 */
export function layOut(tensors: TensorRecord, metadata: Readonly<Record<string, string>>): Layout {
  for (const [name, tensor] of Object.entries(tensors)) {
    checkStorable(name);
    checkTensor(name, tensor);
  }
  const plan = planFile(new Map(Object.entries(tensors)), metadata);
  return { ...plan, tensors: plan.names.map((name) => tensors[name]!) };
}

/**
 * Plans a file: wide elements first, so that every tensor is aligned, then by name, so that equal contents are equal
 * files.
 *
 * @throws TensorARError when a name cannot be stored
 */
export function planFile(tensors: ReadonlyMap<string, TensorInfo>, metadata: Readonly<Record<string, string>>): Plan {
  const names = [...tensors.keys()];
  for (const name of names) checkStorable(name);
  const width = (name: string) => bytesPerElement(tensors.get(name)!.dtype);
  names.sort((a, b) => width(b) - width(a) || (a < b ? -1 : 1));

  const header = new Map<string, unknown>();
  if (Object.keys(metadata).length > 0) header.set(METADATA_NAME, checkedMetadata(metadata));
  let offset = 0;
  for (const name of names) {
    const { dtype, shape } = tensors.get(name)!;
    const end = offset + elementCount(shape)! * bytesPerElement(dtype);
    header.set(name, { dtype: STORED_DTYPES[dtype], shape, data_offsets: [offset, end] });
    offset = end;
  }
  const head = encodeHead(JSON.stringify(Object.fromEntries(header)));
  return { head, names, fileBytes: head.byteLength + offset };
}

function checkStorable(name: string): void {
  checkName(name, "safetensors");
  if (name === METADATA_NAME) {
    throw new TensorARError(`safetensors: a tensor named ${METADATA_NAME} cannot be stored; rename it`);
  }
  if (/\p{Surrogate}/u.test(name)) {
    throw new TensorARError(`safetensors: the name ${quote(name)} is not valid Unicode; rename it`);
  }
}

function checkedMetadata(metadata: Readonly<Record<string, string>>): Readonly<Record<string, string>> {
  for (const [name, text] of Object.entries(metadata)) {
    checkName(name, "safetensors metadata");
    if (typeof text !== "string") {
      throw new TensorARError(`safetensors metadata ${quote(name)} is ${quote(text)}; convert it to a string`);
    }
  }
  return metadata;
}

/** Length and text, padded with spaces so that the elements begin at a multiple of 8 bytes. */
function encodeHead(json: string): Uint8Array {
  const text = new TextEncoder().encode(json);
  if (text.byteLength > MAX_HEADER_BYTES - 8) {
    throw new TensorARError(
      `safetensors: a header of ${text.byteLength} bytes is over the limit of ${MAX_HEADER_BYTES}; ` +
        "store fewer tensors or less metadata in one file",
    );
  }
  const head = new Uint8Array(PREFIX_BYTES + Math.ceil(text.byteLength / 8) * 8).fill(" ".charCodeAt(0));
  new DataView(head.buffer).setBigUint64(0, BigInt(head.byteLength - PREFIX_BYTES), true);
  head.set(text, PREFIX_BYTES);
  return head;
}
