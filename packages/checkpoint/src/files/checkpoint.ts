import { stat } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { parseJson, quote, RECOGNIZED_BYTES, recognize, TensorARError } from "@tensorar/core";
import { fileError } from "@tensorar/core/node";
import { type CheckpointFile, findTensor, type OpenOptions } from "../checkpoint-file";
import { expectWithin, type Limits, limitsOf } from "../limits";
import { PREFIX_BYTES } from "../safetensors/header";
import { select, withoutWrappers } from "../select";
import type { ByteSource } from "../source";
import type { TensorRecord } from "../tensor";
import { isTorch, isZip, openTorchSource } from "../torch/open";
import { wrongContents } from "../wrong-contents";
import { openSafetensorsSource, readAll } from "./safetensors";
import { withSource } from "./source";

/** What a folder in the style of Hugging Face may hold; the first that is there is opened. */
const FOLDER_FILES: readonly string[] = [
  "model.safetensors",
  "model.safetensors.index.json",
  "pytorch_model.bin",
  "pytorch_model.bin.index.json",
];
const BRACE = "{".charCodeAt(0);
const PICKLE = 0x80; // the opcode that begins every pickle of protocol 2 and above

/**
 * Opens a checkpoint; its contents say which format it has, not its name: safetensors, PyTorch (see `openTorch`), the
 * index of a checkpoint in several files, or a folder with one of them.
 *
 * @throws TensorARError when nothing of the kind is there, it is damaged, or holds no tensors where they are wanted
 */
export async function openCheckpoint(path: string, options: OpenOptions = {}): Promise<CheckpointFile> {
  return openAny(await fileOf(path), options);
}

/** All tensors of a checkpoint by name; a record without prototype. */
export const readCheckpoint = async (path: string, options: OpenOptions = {}): Promise<TensorRecord> =>
  readAll(await openCheckpoint(path, options));

async function fileOf(path: string): Promise<string> {
  const isFolder = (await status(path))?.isDirectory() ?? false;
  if (!isFolder) return path;
  for (const name of FOLDER_FILES) {
    const candidate = join(path, name);
    if ((await status(candidate)) !== undefined) return candidate;
  }
  throw new TensorARError(`${path}: this folder holds none of ${FOLDER_FILES.join(", ")}; give the path of the file`);
}

/** Undefined where there is nothing. */
const status = (path: string) =>
  stat(path).catch((cause: NodeJS.ErrnoException) => {
    if (cause.code === "ENOENT") return undefined;
    throw fileError("read", path, cause);
  });

async function openAny(path: string, options: OpenOptions, isShard = false): Promise<CheckpointFile> {
  const chosen = { ...options, root: options.root ?? "" };
  return withSource(path, async (source) => {
    const first = await source.read(0, Math.min(RECOGNIZED_BYTES, source.size));
    const isSafetensors = first[PREFIX_BYTES] === BRACE;
    if (isZip(first)) return openTorchSource(source, options);
    if (first[0] === BRACE && !isShard && !(isSafetensors && headerFits(first, source.size)))
      return select(await openIndex(source, first, options), chosen, Number.POSITIVE_INFINITY);
    if (isSafetensors && (first[0] !== PICKLE || headerFits(first, source.size)))
      return select(await openSafetensorsSource(source, options.limits), chosen, source.size);
    if (isTorch(first)) return openTorchSource(source, options);
    throw wrongContents(path, first, "a checkpoint (safetensors, a file of torch.save, or an index of them)");
  });
}

const headerFits = (first: Uint8Array, size: number): boolean =>
  new DataView(first.buffer).getBigUint64(0, true) <= BigInt(size - PREFIX_BYTES);

/** A checkpoint in several files: the index maps the name of every tensor to the file in the same folder. */
async function openIndex(source: ByteSource, first: Uint8Array, { limits }: OpenOptions): Promise<CheckpointFile> {
  const fileByName = await readIndex(source, first, limitsOf(limits));
  const shards = new Map<string, CheckpointFile>();
  const closeAll = async () => {
    await Promise.all([...shards.values()].map((shard) => shard.close()));
  };
  try {
    for (const name of new Set(fileByName.values())) {
      shards.set(name, await openAny(join(dirname(source.name), name), { limits }, true));
    }
    for (const [tensor, file] of fileByName) {
      const [shard, name] = [shards.get(file)!, withoutWrappers(tensor)];
      if (!shard.unreadable.has(name)) shard.info(name); // throws where the shard lacks it
    }
  } catch (error) {
    await closeAll();
    throw error;
  }
  await source.close();
  const shardOf = (name: string) => shards.get(findTensor(fileByName, name, source.name))!;
  const unreadable = [...fileByName].flatMap(([name, file]) => {
    const what = shards.get(file)!.unreadable.get(withoutWrappers(name));
    return what === undefined ? [] : [[name, what] as const];
  });
  return {
    path: source.name,
    metadata: Object.create(null),
    names: [...fileByName.keys()],
    unreadable: new Map(unreadable),
    info: (name) => shardOf(name).info(withoutWrappers(name)),
    read: async (name) => shardOf(name).read(withoutWrappers(name)),
    stream: (name) => shardOf(name).stream(withoutWrappers(name)),
    close: closeAll,
  };
}

/** The longest that file systems take. */
const LONGEST_NAME = 255;

const isFileName = (name: string): boolean =>
  name !== "" && name !== ".." && name.length <= LONGEST_NAME && basename(name) === name && !name.includes("\\");

async function readIndex(source: ByteSource, first: Uint8Array, limits: Limits): Promise<ReadonlyMap<string, string>> {
  const { name: path, size } = source;
  expectWithin(limits, "headerBytes", size, `${path}: this index`);
  const json = parseJson(await source.read(0, size), path) as { weight_map?: unknown };
  const map = json.weight_map;
  if (typeof map !== "object" || map === null || Array.isArray(map) || Object.keys(map).length === 0) {
    const { what, remedy } = recognize(first) ?? { what: "JSON", remedy: "give the index of a checkpoint" };
    throw new TensorARError(
      `${path}: it is ${what}, not an index of a checkpoint (weight_map must map names of tensors to files); ${remedy}`,
    );
  }
  for (const [tensor, file] of Object.entries(map)) {
    if (typeof file === "string" && isFileName(file)) continue;
    throw new TensorARError(`${path}: the file ${quote(file)} of ${quote(tensor)} is not a name in the same folder`);
  }
  return new Map(Object.entries(map as Record<string, string>));
}
