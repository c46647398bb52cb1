import { quote, TensorARError } from "@tensorar/core";
import { expectWithin, type Limits } from "../limits";
import type { ByteSource } from "../source";
import { PickleEndsEarly } from "./pickle/cursor";
import { readPickle } from "./pickle/interpreter";
import { Dict, List, type Storage, type Value } from "./pickle/values";

// What torch.save wrote before version 1.6, and still does on request: pickles of a magic number, the version, facts
// about the machine, the object, and the keys of the storages; then of every storage its length (8 bytes) and elements.
// See _legacy_save in torch/serialization.py of github.com/pytorch/pytorch.

const MAGIC = 0x1950a86a20f9469cfc6cn;
const VERSION = 1001;

const FIRST_READ_BYTES = 2 ** 18;
const LENGTH_BYTES = 8;

export interface TorchContents {
  readonly value: Value;
  readonly storages: ReadonlyMap<string, Storage>;
  /** Position of a storage's first byte. */
  locate(storage: Storage): Promise<number>;
}

export async function openLegacy(source: ByteSource, limits: Limits): Promise<TorchContents> {
  const { value, storages, keys, end } = await readPickles(source, limits);
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
async function readPickles(source: ByteSource, limits: Limits): Promise<Pickles> {
  for (let length = FIRST_READ_BYTES; ; length *= 2) {
    const bytes = await source.read(0, Math.min(length, source.size));
    try {
      return parsePickles(bytes, limits);
    } catch (error) {
      if (!(error instanceof PickleEndsEarly) || length >= source.size) throw error;
      expectWithin(limits, "pickleBytes", 2 * length, "its pickle");
    }
  }
}

function parsePickles(bytes: Uint8Array, limits: Limits): Pickles {
  const magic = readPickle(bytes, 0, limits.pickleMemory);
  if (magic.value !== MAGIC)
    throw new TensorARError("it is a pickle, but not one of torch.save; save it with torch.save");
  const version = readPickle(bytes, magic.end, limits.pickleMemory);
  if (version.value !== VERSION)
    throw new TensorARError(
      `its version is ${typeof version.value === "number" ? version.value : "no number"}, not ${VERSION}; save it again`,
    );
  const system = readPickle(bytes, version.end, limits.pickleMemory);
  if (!(system.value instanceof Dict) || system.value.entries.get("little_endian") !== true) {
    throw new TensorARError("it was not saved on a little-endian machine; save it again on one");
  }
  const { value, storages, end } = readPickle(bytes, system.end, limits.pickleMemory);
  const list = readPickle(bytes, end, limits.pickleMemory);
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
        `storage ${quote(key)} is listed ${storage ? "twice" : "but not read here, so those after it can't be found"}; save it again`,
      );
    }
    begins.set(key, at + LENGTH_BYTES);
    at += LENGTH_BYTES + storage.fileElements * storage.width;
  }
  if (at > source.size) {
    throw new TensorARError(
      `it was cut off: the file has ${source.size} of ${at} bytes, ${at - source.size} are missing; fetch it again`,
    );
  }
  for (const [key, first] of begins) {
    const { fileElements } = storages.get(key)!;
    const length = new DataView((await source.read(first - LENGTH_BYTES, first)).buffer).getBigInt64(0, true);
    if (length !== BigInt(fileElements)) {
      throw new TensorARError(
        `storage ${quote(key)} has ${length} elements, but is described with ${fileElements}; fetch the file again`,
      );
    }
  }
  for (const key of storages.keys()) {
    if (!begins.has(key))
      throw new TensorARError(`storage ${quote(key)} is missing; the file was cut off: fetch it again`);
  }
  return begins;
}
