import { quote, RECOGNIZED_BYTES, TensorARError, type TensorData } from "@tensorar/core";
import { type CheckpointFile, findTensor, type OpenOptions, PIECE_BYTES, type TensorInfo } from "../checkpoint-file";
import { expectWithin, type Limits, limitsOf } from "../limits";
import { select } from "../select";
import { type ByteSource, memorySource } from "../source";
import { bytesPerElement, elementCount, tensorFromBytes } from "../tensor";
import { wrongContents } from "../wrong-contents";
import { openArchive } from "./archive";
import { type Flattened, flatten, usualRoot } from "./flatten";
import { gather, isContiguous } from "./gather";
import { openLegacy, type TorchContents } from "./legacy";
import { Placeholder, StoredTensor } from "./pickle/values";

/** An open file of torch.save. */
export interface TorchFile extends CheckpointFile {
  readonly format: "torch zip" | "torch legacy";
  /** Keys, joined by dots, under which the tensors were found; "" for the whole file. */
  readonly root: string;
}

const PICKLE = 0x80; // the opcode that begins every pickle of protocol 2 and above

/** Whether bytes begin as a zip file does. */
export const isZip = (first: Uint8Array): boolean => first[0] === 0x50 && first[1] === 0x4b; // "PK"

/** Whether bytes begin as files of torch.save do. */
export const isTorch = (first: Uint8Array): boolean => isZip(first) || first[0] === PICKLE;

/** Opens a file of torch.save that is in memory; see `openTorch` for files. */
export const openTorchBytes = (
  bytes: Uint8Array,
  options: OpenOptions = {},
  name = "PyTorch bytes",
): Promise<TorchFile> => openTorchSource(memorySource(bytes, name), options);

/** @throws TensorARError naming the source, where it is not as torch.save writes, or holds no tensors where they are wanted */
export async function openTorchSource(source: ByteSource, options: OpenOptions): Promise<TorchFile> {
  const limits = limitsOf(options.limits);
  const first = await source.read(0, Math.min(RECOGNIZED_BYTES, source.size));
  if (!isTorch(first)) throw wrongContents(source.name, first, "a file of torch.save");
  const zip = isZip(first);
  const contents = await named(source.name, () => (zip ? openArchive : openLegacy)(source, limits));
  const root = options.root ?? usualRoot(contents.value);
  const file = wholeFile(source, contents, flatten(contents.value, source.name), limits);
  const part = select(file, { ...options, root }, source.size);
  return { ...part, format: zip ? "torch zip" : "torch legacy", root };
}

/** Errors of the inner parts know no file. */
async function named<T>(name: string, call: () => Promise<T>): Promise<T> {
  try {
    return await call();
  } catch (cause) {
    if (!(cause instanceof TensorARError) || cause.message.includes(name)) throw cause;
    throw new TensorARError(`${name}: ${cause.message}`, { cause, code: cause.code });
  }
}

function wholeFile(source: ByteSource, contents: TorchContents, flattened: Flattened, limits: Limits): CheckpointFile {
  const { tensors } = flattened;
  const find = (name: string): StoredTensor => storedTensor(tensors, name, source.name);
  const read = async (name: string): Promise<TensorData> => {
    const tensor = find(name);
    const bytes = elementCount(tensor.shape)! * bytesPerElement(tensor.dtype);
    expectWithin(limits, "tensorBytes", bytes, `${source.name}: tensor ${quote(name)}`);
    return named(source.name, async () =>
      isContiguous(tensor)
        ? readElements(source, contents, tensor, tensor.shape, 0)
        : gather(source, await contents.locate(tensor.storage), tensor),
    );
  };
  return {
    path: source.name,
    metadata: Object.create(null),
    names: [...tensors.keys()],
    unreadable: unreadableOf(flattened),
    info(name): TensorInfo {
      const { dtype, shape } = find(name);
      return { dtype, shape };
    },
    read,
    async *stream(name) {
      const tensor = find(name);
      if (!isContiguous(tensor)) {
        const { dtype, data } = await read(name);
        yield { dtype, shape: [elementCount(tensor.shape)!], data };
        return;
      }
      yield* pieces(source, contents, tensor);
    },
    close: () => source.close(),
  };
}

/** What each name that can't be read holds. */
function unreadableOf({ tensors, objects }: Flattened): ReadonlyMap<string, string> {
  const unreadable = new Map(objects);
  for (const [name, tensor] of tensors) if (tensor instanceof Placeholder) unreadable.set(name, tensor.name);
  return unreadable;
}

/** @throws TensorARError where there is no such tensor, or it is an object of another kind */
function storedTensor(tensors: Flattened["tensors"], name: string, path: string): StoredTensor {
  const found = findTensor(tensors, name, path);
  if (found instanceof StoredTensor) return found;
  throw new TensorARError(`${path}: ${quote(name)} can't be read (${found.name}); save it as a tensor of float32`, {
    code: "unsupported",
  });
}

/** Elements of a contiguous tensor from the one at `first` on, in this shape. */
async function readElements(
  source: ByteSource,
  contents: TorchContents,
  { dtype, storage, offset }: StoredTensor,
  shape: readonly number[],
  first: number,
): Promise<TensorData> {
  const width = bytesPerElement(dtype);
  const count = elementCount(shape)!;
  if (count === 0) return tensorFromBytes(dtype, shape, new Uint8Array(0));
  const begin = (await contents.locate(storage)) + (offset + first) * width;
  return tensorFromBytes(dtype, shape, await source.read(begin, begin + count * width));
}

/** All elements of a contiguous tensor, some at a time. */
async function* pieces(source: ByteSource, contents: TorchContents, tensor: StoredTensor): AsyncGenerator<TensorData> {
  const count = elementCount(tensor.shape)!;
  const step = PIECE_BYTES / bytesPerElement(tensor.dtype);
  for (let first = 0; first < count; first += step) {
    const shape = [Math.min(step, count - first)];
    yield await named(source.name, () => readElements(source, contents, tensor, shape, first));
  }
}
