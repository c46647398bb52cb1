import { stat } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { quote, TensorARError } from "@tensorar/core";
import { fileError } from "@tensorar/core/node";
import { type CheckpointFile, findTensor, stripped, WRAPPER_PREFIXES } from "../checkpoint-file";
import { PREFIX_BYTES } from "../safetensors/header";
import type { ByteSource } from "../source";
import type { TensorRecord } from "../tensor";
import { isZip, openTorchSource, type TorchOptions } from "../torch/open";
import { openSafetensorsSource, readAll } from "./safetensors";
import { withSource } from "./source";

/** What a folder in the style of Hugging Face may hold; the first that is there is opened. */
const FOLDER_FILES: readonly string[] = [
  "model.safetensors",
  "model.safetensors.index.json",
  "pytorch_model.bin",
  "pytorch_model.bin.index.json",
];
const MAX_INDEX_BYTES = 2 ** 26;
const BRACE = "{".charCodeAt(0);
const PICKLE = 0x80; // the opcode that begins every pickle of protocol 2 and above

/**
 * Opens a checkpoint; its contents say which format it has, not its name: safetensors, PyTorch (see `openTorch`), the
 * index of a checkpoint in several files, or a folder with one of them.
 *
 * @throws TensorARError when nothing of the kind is there, or it is damaged
 */
export async function openCheckpoint(path: string, options: TorchOptions = {}): Promise<CheckpointFile> {
  const { prefixes = WRAPPER_PREFIXES } = options;
  const file = await openAny(await fileOf(path), { ...options, prefixes: [] });
  return stripped(file, prefixes);
}

/** All tensors of a checkpoint by name; a record without prototype. */
export const readCheckpoint = async (path: string, options: TorchOptions = {}): Promise<TensorRecord> =>
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

async function openAny(path: string, options: TorchOptions, isShard = false): Promise<CheckpointFile> {
  return withSource(path, async (source) => {
    const first = await source.read(0, Math.min(PREFIX_BYTES + 1, source.size));
    if (isZip(first)) return openTorchSource(source, options);
    if (first[PREFIX_BYTES] === BRACE && headerFits(first, source.size)) return openSafetensorsSource(source);
    if (first[0] === PICKLE) return openTorchSource(source, options);
    if (first[PREFIX_BYTES] === BRACE && first[0] !== BRACE) return openSafetensorsSource(source); // names what is wrong
    if (first[0] === BRACE && !isShard) return openIndex(source, options);
    throw new TensorARError(
      `${path}: it begins as neither safetensors nor a file of torch.save nor an index of them; fetch it again`,
    );
  });
}

const headerFits = (first: Uint8Array, size: number): boolean =>
  new DataView(first.buffer).getBigUint64(0, true) <= BigInt(size - PREFIX_BYTES);

/** A checkpoint in several files: the index maps the name of every tensor to the file in the same folder. */
async function openIndex(source: ByteSource, options: TorchOptions): Promise<CheckpointFile> {
  const fileByName = await readIndex(source);
  const shards = new Map<string, CheckpointFile>();
  const closeAll = async () => {
    await Promise.all([...shards.values()].map((shard) => shard.close()));
  };
  try {
    for (const name of new Set(fileByName.values())) {
      shards.set(name, await openAny(join(dirname(source.name), name), options, true));
    }
    for (const [tensor, file] of fileByName) shards.get(file)!.info(tensor); // throws where the shard lacks it
  } catch (error) {
    await closeAll();
    throw error;
  }
  await source.close();
  const shardOf = (name: string) => shards.get(findTensor(fileByName, name, source.name))!;
  return {
    path: source.name,
    metadata: Object.create(null),
    names: [...fileByName.keys()],
    info: (name) => shardOf(name).info(name),
    read: async (name) => shardOf(name).read(name),
    stream: (name) => shardOf(name).stream(name),
    close: closeAll,
  };
}

async function readIndex(source: ByteSource): Promise<ReadonlyMap<string, string>> {
  const { name: path, size } = source;
  if (size > MAX_INDEX_BYTES) throw new TensorARError(`${path}: an index of ${size} bytes is over ${MAX_INDEX_BYTES}`);
  const text = new TextDecoder().decode(await source.read(0, size));
  let json: { weight_map?: unknown };
  try {
    json = JSON.parse(text) as { weight_map?: unknown };
  } catch (cause) {
    throw new TensorARError(`${path}: not valid JSON (${(cause as Error).message}); fetch it again`, { cause });
  }
  const map = json.weight_map;
  if (typeof map !== "object" || map === null || Array.isArray(map) || Object.keys(map).length === 0) {
    throw new TensorARError(`${path}: weight_map must map names of tensors to files; give the index of a checkpoint`);
  }
  for (const [tensor, file] of Object.entries(map)) {
    if (typeof file === "string" && file !== "" && file !== ".." && basename(file) === file && !file.includes("\\"))
      continue;
    throw new TensorARError(`${path}: the file ${quote(file)} of ${quote(tensor)} is not a name in the same folder`);
  }
  return new Map(Object.entries(map as Record<string, string>));
}
