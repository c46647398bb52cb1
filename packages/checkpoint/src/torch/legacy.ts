import { quote, TensorARError } from "@tensorar/core";
import type { ByteSource } from "../source";
import { bytesPerElement } from "../tensor";
import { PickleEndsEarly } from "./pickle/cursor";
import { readPickle } from "./pickle/interpreter";
import { Dict, List, type Storage, type Value } from "./pickle/values";

// What torch.save wrote before version 1.6, and still does on request: pickles of a magic number, the version, facts
// about the machine, the object, and the keys of the storages; then of every storage its length (8 bytes) and elements.
// See _legacy_save in torch/serialization.py of github.com/pytorch/pytorch.

const MAGIC = 0x1950a86a20f9469cfc6cn;
const VERSION = 1001;

/** The pickles are far smaller; this keeps a hostile file from being read into memory whole. */
export const MAX_PICKLE_BYTES = 2 ** 26;
const FIRST_READ_BYTES = 2 ** 18;
const LENGTH_BYTES = 8;

export interface TorchContents {
  readonly value: Value;
  readonly storages: ReadonlyMap<string, Storage>;
  /** Position of a storage's first byte. */
  locate(storage: Storage): Promise<number>;
}

export async function openLegacy(source: ByteSource, placeholders: readonly string[]): Promise<TorchContents> {
  const { value, storages, keys, end } = await readPickles(source, placeholders);
  const begins = await findStorages(source, storages, keys, end);
  return { value, storages, locate: async ({ key }) => begins.get(key)! };
}

interface Pickles {
  readonly value: Value;
  readonly storages: ReadonlyMap<string, Storage>;
  readonly keys: readonly string[];
  readonly end: number;
}

/** The length of the pickles is not written anywhere: reads more until they end. */
async function readPickles(source: ByteSource, placeholders: readonly string[]): Promise<Pickles> {
  for (let length = FIRST_READ_BYTES; ; length *= 2) {
    const bytes = await source.read(0, Math.min(length, source.size));
    try {
      return parsePickles(bytes, placeholders);
    } catch (error) {
      if (!(error instanceof PickleEndsEarly) || length >= source.size) throw error;
      if (length >= MAX_PICKLE_BYTES) {
        throw new TensorARError(`the pickle is over the limit of ${MAX_PICKLE_BYTES} bytes`, { cause: error });
      }
    }
  }
}

function parsePickles(bytes: Uint8Array, placeholders: readonly string[]): Pickles {
  const magic = readPickle(bytes, 0, placeholders);
  if (magic.value !== MAGIC)
    throw new TensorARError("it is a pickle, but not one of torch.save; save it with torch.save");
  const version = readPickle(bytes, magic.end, placeholders);
  if (version.value !== VERSION)
    throw new TensorARError(`version ${String(version.value)} is not ${VERSION}; save it again`);
  const system = readPickle(bytes, version.end, placeholders);
  if (!(system.value instanceof Dict) || system.value.entries.get("little_endian") !== true) {
    throw new TensorARError("it was not saved on a little-endian machine; save it again on one");
  }
  const { value, storages, end } = readPickle(bytes, system.end, placeholders);
  const list = readPickle(bytes, end, placeholders);
  const items = list.value instanceof List ? list.value.items : [undefined];
  const keys = items.filter((key) => typeof key === "string");
  if (keys.length !== items.length) throw new TensorARError("the keys of its storages are not a list of texts");
  return { value, storages, keys, end: list.end };
}

async function findStorages(
  source: ByteSource,
  storages: ReadonlyMap<string, Storage>,
  keys: readonly string[],
  begin: number,
): Promise<ReadonlyMap<string, number>> {
  const begins = new Map<string, number>();
  let at = begin;
  for (const key of keys) {
    const storage = storages.get(key);
    if (storage === undefined || begins.has(key)) {
      throw new TensorARError(
        `storage ${quote(key)} is listed ${storage ? "twice" : "but not described"}; save it again`,
      );
    }
    const first = at + LENGTH_BYTES;
    const end = first + storage.fileElements * bytesPerElement(storage.dtype);
    if (end > source.size) {
      throw new TensorARError(
        `storage ${quote(key)} ends at byte ${end}, after the file's ${source.size}; fetch it again`,
      );
    }
    const length = new DataView((await source.read(at, first)).buffer).getBigInt64(0, true);
    if (length !== BigInt(storage.fileElements)) {
      const described = `described with ${storage.fileElements} elements`;
      throw new TensorARError(
        `storage ${quote(key)} has ${length} elements, but is ${described}; fetch the file again`,
      );
    }
    begins.set(key, first);
    at = end;
  }
  for (const key of storages.keys()) {
    if (!begins.has(key))
      throw new TensorARError(`storage ${quote(key)} is missing; the file was cut off: fetch it again`);
  }
  return begins;
}
