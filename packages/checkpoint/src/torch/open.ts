import { TensorARError } from "@tensorar/core";
import {
  type CheckpointFile,
  findTensor,
  PIECE_BYTES,
  type TensorInfo,
  WRAPPER_PREFIXES,
  withoutPrefixes,
} from "../checkpoint-file";
import { type ByteSource, memorySource } from "../source";
import { bytesPerElement, elementCount, type TensorData, tensorFromBytes } from "../tensor";
import { openArchive } from "./archive";
import { gather, isContiguous } from "./gather";
import { openLegacy, type TorchContents } from "./legacy";
import type { StoredTensor } from "./pickle/values";
import { tensorsOf } from "./root";

export interface TorchOptions {
  /**
   * Where in the file the weights are: keys joined by dots (`ema`, `optimizer.state`), or "" for everything. Default: the
   * first of `model`, `module`, `state_dict`, `ema` that holds tensors, and again inside of that; else everything.
   */
  readonly root?: string | undefined;
  /** Prefixes removed where all names share them; default `module.` and `_orig_mod.`. */
  readonly prefixes?: readonly string[] | undefined;
  /**
   * Full names of classes, such as `omegaconf.dictconfig.DictConfig`, whose objects may lie beside the weights. They
   * become inert placeholders; nothing is ever executed.
   */
  readonly placeholders?: readonly string[] | undefined;
}

/** An open file of torch.save. */
export interface TorchFile extends CheckpointFile {
  readonly format: "torch zip" | "torch legacy";
  /** Keys, joined by dots, under which the tensors were found; "" for the whole file. */
  readonly root: string;
}

/** Tensors may share storages and repeat elements; together they take at most so many times the file. */
const MAX_EXPANSION = 4;
const EXPANSION_FREE_BYTES = 2 ** 26;

/** Whether bytes begin as a zip file does. */
export const isZip = (first: Uint8Array): boolean => first[0] === 0x50 && first[1] === 0x4b; // "PK"

/** Opens a file of torch.save that is in memory; see `openTorch` for files. */
export const openTorchBytes = (
  bytes: Uint8Array,
  options: TorchOptions = {},
  name = "PyTorch bytes",
): Promise<TorchFile> => openTorchSource(memorySource(bytes, name), options);

/** @throws TensorARError naming the source, with anything in it that is not known */
export async function openTorchSource(source: ByteSource, options: TorchOptions): Promise<TorchFile> {
  const { placeholders = [], prefixes = WRAPPER_PREFIXES } = options;
  const zip = isZip(await source.read(0, Math.min(4, source.size)));
  const contents = await named(source.name, () => (zip ? openArchive : openLegacy)(source, placeholders));
  const { root, tensors } = tensorsOf(contents.value, options.root, source.name);
  checkTotal(tensors.values(), source);
  const names = withoutPrefixes([...tensors.keys()], prefixes);
  const entries = new Map([...tensors.values()].map((tensor, i) => [names[i]!, tensor]));
  return torchFile(source, contents, entries, { format: zip ? "torch zip" : "torch legacy", root: root.join(".") });
}

/** Errors of the inner parts know no file. */
async function named<T>(name: string, call: () => Promise<T>): Promise<T> {
  try {
    return await call();
  } catch (cause) {
    if (!(cause instanceof TensorARError) || cause.message.includes(name)) throw cause;
    throw new TensorARError(`${name}: ${cause.message}`, { cause });
  }
}

function checkTotal(tensors: Iterable<StoredTensor>, source: ByteSource): void {
  let bytes = 0;
  for (const { dtype, shape } of tensors) bytes += elementCount(shape)! * bytesPerElement(dtype);
  if (bytes <= MAX_EXPANSION * source.size + EXPANSION_FREE_BYTES) return;
  throw new TensorARError(
    `${source.name}: its tensors would take ${bytes} bytes, but the file has ${source.size}; ` +
      "save clones of expanded tensors, or name a root with fewer of them",
  );
}

function torchFile(
  source: ByteSource,
  contents: TorchContents,
  entries: ReadonlyMap<string, StoredTensor>,
  facts: Pick<TorchFile, "format" | "root">,
): TorchFile {
  const find = (name: string) => findTensor(entries, name, source.name);
  const readElements = async (tensor: StoredTensor, shape: readonly number[], first: number): Promise<TensorData> => {
    const width = bytesPerElement(tensor.dtype);
    const count = elementCount(shape)!;
    if (count === 0) return tensorFromBytes(tensor.dtype, shape, new Uint8Array(0));
    const begin = (await contents.locate(tensor.storage)) + (tensor.offset + first) * width;
    return tensorFromBytes(tensor.dtype, shape, await source.read(begin, begin + count * width));
  };
  const read = async (tensor: StoredTensor): Promise<TensorData> =>
    isContiguous(tensor)
      ? readElements(tensor, tensor.shape, 0)
      : gather(source, await contents.locate(tensor.storage), tensor);
  return {
    ...facts,
    path: source.name,
    metadata: Object.create(null),
    names: [...entries.keys()],
    info(name): TensorInfo {
      const { dtype, shape } = find(name);
      return { dtype, shape };
    },
    read: async (name) => named(source.name, () => read(find(name))),
    async *stream(name) {
      const tensor = find(name);
      const count = elementCount(tensor.shape)!;
      if (!isContiguous(tensor)) {
        const { dtype, data } = await named(source.name, () => read(tensor));
        yield { dtype, shape: [count], data };
        return;
      }
      const step = PIECE_BYTES / bytesPerElement(tensor.dtype);
      for (let first = 0; first < count; first += step) {
        yield await named(source.name, () => readElements(tensor, [Math.min(step, count - first)], first));
      }
    },
    close: () => source.close(),
  };
}
