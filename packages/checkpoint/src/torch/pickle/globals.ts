import { quote, TensorARError } from "@tensorar/core";
import { bytesPerElement, type DType, elementCount } from "../../tensor";
import {
  Dict,
  Global,
  kindOf,
  List,
  type Meaning,
  Placeholder,
  Storage,
  StoredTensor,
  Tuple,
  type Value,
} from "./values";

// The only names that a pickle may use. What they stand for follows torch/_utils.py and torch/serialization.py of
// github.com/pytorch/pytorch; here they only describe where elements are.

const STORAGES: Readonly<Record<string, DType>> = {
  DoubleStorage: "float64",
  FloatStorage: "float32",
  HalfStorage: "float16",
  BFloat16Storage: "bfloat16",
  LongStorage: "int64",
  IntStorage: "int32",
  ShortStorage: "int16",
  CharStorage: "int8",
  ByteStorage: "uint8",
  BoolStorage: "bool",
  UntypedStorage: "uint8",
};

/** torch.NAME for element types; those without a type here may be mentioned, but not be a tensor's. */
const DTYPES: Readonly<Record<string, DType | undefined>> = {
  ...{ float64: "float64", float32: "float32", float16: "float16", bfloat16: "bfloat16" },
  ...{ int64: "int64", int32: "int32", int16: "int16", int8: "int8", uint8: "uint8", bool: "bool" },
  ...{ uint16: undefined, uint32: undefined, uint64: undefined, complex64: undefined, complex128: undefined },
  ...{ float8_e4m3fn: undefined, float8_e5m2: undefined },
};

/** Kinds of plain data that training scripts save beside the weights. They become placeholders. */
const INERT: readonly string[] = [
  ...["argparse.Namespace", "types.SimpleNamespace"],
  ...["pathlib.Path", "pathlib.PosixPath", "pathlib.WindowsPath", "pathlib.PurePosixPath", "pathlib.PureWindowsPath"],
  ...["_codecs.encode", "torch.Size", "torch.device", "torch.Tensor", "torch.nn.parameter.Parameter"],
  ...["set", "frozenset", "bytearray", "complex", "list", "dict", "int", "float"].flatMap((name) => [
    `builtins.${name}`,
    `__builtin__.${name}`, // as Python 2 and protocol 2 call it
  ]),
  ...["numpy.dtype", "numpy.ndarray"],
  ...["scalar", "_reconstruct"].flatMap((name) => [`numpy.core.multiarray.${name}`, `numpy._core.multiarray.${name}`]),
  "pytorch_lightning.callbacks.model_checkpoint.ModelCheckpoint", // a key of Lightning's checkpoints
];

const MAX_RANK = 64; // PyTorch's own

const inert: Meaning = { kind: "inert" };

const MEANINGS = new Map<string, Meaning>([
  ...Object.entries(STORAGES).flatMap(([name, dtype]): [string, Meaning][] => [
    [`torch.${name}`, { kind: "storage", dtype }],
    [`torch.storage.${name}`, { kind: "storage", dtype }],
  ]),
  ...Object.entries(DTYPES).map(([name, dtype]): [string, Meaning] => [`torch.${name}`, { kind: "dtype", dtype }]),
  ...INERT.map((name): [string, Meaning] => [name, inert]),
  ["collections.OrderedDict", { kind: "call", call: (args, charge) => dictOf(args[0], charge) }],
  ["collections.Counter", { kind: "call", call: (args, charge) => dictOf(args[0], charge) }],
  ["collections.defaultdict", { kind: "call", call: (args, charge) => dictOf(args[1], charge) }],
  ["torch._utils._rebuild_tensor", { kind: "call", call: (args) => rebuildTensor(args) }],
  ["torch._utils._rebuild_tensor_v2", { kind: "call", call: (args) => rebuildTensor(args) }],
  ["torch._utils._rebuild_tensor_v3", { kind: "call", call: (args) => rebuildTensor(args, args[6]) }],
  ["torch._utils._rebuild_parameter", { kind: "call", call: (args) => expectTensor(args[0]) }],
  ["torch._utils._rebuild_parameter_with_state", { kind: "call", call: (args) => expectTensor(args[0]) }],
  ["torch._tensor._rebuild_from_type_v2", { kind: "call", call: (args) => rebuildFromType(args) }],
]);

/**
 * What a name stands for.
 *
 * @param placeholders further names that may stand for an inert object
 * @throws TensorARError naming it, where it is not known
 */
export function globalNamed(name: string, placeholders: readonly string[]): Global {
  const meaning = MEANINGS.get(name) ?? (placeholders.includes(name) ? inert : undefined);
  if (meaning !== undefined) return new Global(name, meaning);
  throw new TensorARError(
    `the pickle asks for ${quote(name)}, which is not needed to describe tensors, so the file is refused (nothing was ` +
      "executed); if it comes from a source you trust, save its state_dict() alone, or allow this name as an inert " +
      "placeholder by the option `placeholders`",
  );
}

/** What calling a global gives; nothing is executed but the descriptions above. */
export function callGlobal(callee: Value, args: Value, charge: (work: number) => void): Value {
  if (!(callee instanceof Global) || !(args instanceof Tuple)) {
    throw new TensorARError(`the pickle calls ${kindOf(callee)} with ${kindOf(args)}; only known names can be called`);
  }
  const { name, meaning } = callee;
  if (meaning.kind === "call") return meaning.call(args.items, charge);
  if (meaning.kind === "inert") return new Placeholder(name);
  throw new TensorARError(`the pickle calls ${name}, which is an element type`);
}

/** An empty dictionary, a copy of one, or one made of pairs (as Python 2 pickles it). */
function dictOf(from: Value | undefined, charge: (work: number) => void): Dict {
  const dict = new Dict();
  if (from === undefined) return dict;
  if (from instanceof Dict) {
    charge(from.entries.size);
    for (const [key, value] of from.entries) dict.entries.set(key, value);
    return dict;
  }
  if (!(from instanceof List)) throw new TensorARError(`a dictionary is made of ${kindOf(from)}; pairs are needed`);
  charge(from.items.length);
  for (const pair of from.items) {
    const items = pair instanceof Tuple || pair instanceof List ? pair.items : [];
    if (items.length !== 2) throw new TensorARError("a dictionary is made of a list that does not hold pairs");
    setItem(dict, items[0]!, items[1]!);
  }
  return dict;
}

export function setItem(dict: Dict, key: Value, value: Value): void {
  if (key instanceof List || key instanceof Dict)
    throw new TensorARError(`a ${kindOf(key)} is the key of a dictionary`);
  dict.entries.set(key, value);
}

function expectTensor(value: Value | undefined): StoredTensor {
  if (value instanceof StoredTensor) return value;
  throw new TensorARError(`a parameter is made of ${kindOf(value)} instead of a tensor`);
}

/** (function, type, arguments, state): a tensor with attributes of its own, or of a subclass. */
function rebuildFromType([callee, , args]: readonly Value[]): StoredTensor {
  const rebuild =
    callee instanceof Global && callee.name.startsWith("torch._utils._rebuild_") ? callee.meaning : undefined;
  if (rebuild?.kind !== "call" || !(args instanceof Tuple)) {
    throw new TensorARError(`a tensor is made by ${kindOf(callee)}; only the functions that rebuild tensors can`);
  }
  return expectTensor(rebuild.call(args.items, () => undefined));
}

/** (storage, offset, shape, strides, …) */
function rebuildTensor([storage, offset, shape, strides]: readonly Value[], type?: Value): StoredTensor {
  if (!(storage instanceof Storage)) throw new TensorARError(`a tensor is a view of ${kindOf(storage)}, not a storage`);
  const dtype = type === undefined ? storage.dtype : elementType(type);
  const where = `a tensor of storage ${quote(storage.key)}`;
  const sizes = integers(shape, `${where}: its shape`);
  const steps = integers(strides, `${where}: its strides`);
  if (!isCount(offset) || sizes.length !== steps.length) {
    throw new TensorARError(
      `${where}: offset ${kindOf(offset)}, shape ${quote(sizes)} and strides ${quote(steps)} do not fit`,
    );
  }
  const count = elementCount(sizes);
  const last = sizes.reduce((index, size, axis) => index + (size - 1) * steps[axis]!, offset);
  const available = Math.floor((storage.elements * bytesPerElement(storage.dtype)) / bytesPerElement(dtype));
  if (count === undefined || (count > 0 && !(last < available))) {
    throw new TensorARError(
      `${where}: shape ${quote(sizes)}, strides ${quote(steps)} and offset ${offset} reach past its ${available} elements`,
    );
  }
  const scale = bytesPerElement(storage.dtype) / bytesPerElement(dtype);
  return new StoredTensor(storage, dtype, sizes, steps, count === 0 ? 0 : storage.begin * scale + offset);
}

function elementType(value: Value): DType {
  if (value instanceof Global && value.meaning.kind === "dtype" && value.meaning.dtype) return value.meaning.dtype;
  throw new TensorARError(`tensors of ${kindOf(value)} are not supported; convert them to torch.float32 before saving`);
}

export const isCount = (value: Value | undefined): value is number =>
  Number.isSafeInteger(value) && (value as number) >= 0;

function integers(value: Value | undefined, what: string): number[] {
  if (!(value instanceof Tuple) || value.items.length > MAX_RANK || !value.items.every(isCount)) {
    throw new TensorARError(`${what} is not a tuple of at most ${MAX_RANK} non-negative integers`);
  }
  return value.items as number[];
}
