import { type DType, quote, TensorARError } from "@tensorar/core";
import { bytesPerElement, elementCount } from "../../tensor";
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

// The names that describe where elements are, and what they stand for, following torch/_utils.py and torch/serialization.py of
// github.com/pytorch/pytorch. Every other name becomes an inert placeholder: nothing is ever imported or called.

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

/** Storages whose elements are not read, by the bytes of an element. */
const OTHER_STORAGES: Readonly<Record<string, number>> = {
  ComplexFloatStorage: 8,
  ComplexDoubleStorage: 16,
  QInt8Storage: 1,
  QUInt8Storage: 1,
  QInt32Storage: 4,
  QUInt4x2Storage: 1,
  QUInt2x4Storage: 1,
};

/** torch.NAME of element types that are read. */
const DTYPES = [
  "float64",
  "float32",
  "float16",
  "bfloat16",
  "int64",
  "int32",
  "int16",
  "int8",
  "uint8",
  "bool",
] as const;
/** Element types that are known, but not read. */
const OTHER_DTYPES = [
  "uint16",
  "uint32",
  "uint64",
  "complex32",
  "complex64",
  "complex128",
  "float8_e4m3fn",
  "float8_e5m2",
];

/** Functions of PyTorch that make tensors: what they make and is not known here was a tensor too. */
const MAKES_TENSOR = /^torch\..*\b_rebuild_/;

/** Rough bytes of one entry of a dictionary in memory. */
const ENTRY_BYTES = 64;

const MAX_RANK = 64; // PyTorch's own

const inert: Meaning = { kind: "inert" };

const storageMeanings = (name: string, meaning: Meaning): [string, Meaning][] => [
  [`torch.${name}`, meaning],
  [`torch.storage.${name}`, meaning],
];

const MEANINGS = new Map<string, Meaning>([
  ...Object.entries(STORAGES).flatMap(([name, dtype]) =>
    storageMeanings(name, { kind: "storage", dtype, width: bytesPerElement(dtype) }),
  ),
  ...Object.entries(OTHER_STORAGES).flatMap(([name, width]) =>
    storageMeanings(name, { kind: "storage", dtype: undefined, width }),
  ),
  ...DTYPES.map((dtype): [string, Meaning] => [`torch.${dtype}`, { kind: "dtype", dtype }]),
  ...OTHER_DTYPES.map((name): [string, Meaning] => [`torch.${name}`, { kind: "dtype", dtype: undefined }]),
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

/** What a name stands for; an inert object where it does not describe tensors. */
export const globalNamed = (name: string): Global => new Global(name, MEANINGS.get(name) ?? inert);

/** What calling a global gives; nothing is executed but the descriptions above. */
export function callGlobal(callee: Value, args: Value, charge: (bytes: number) => void): Value {
  if (callee instanceof Placeholder) return new Placeholder(callee.name, callee.isTensor); // made by what is not made
  if (!(callee instanceof Global) || !(args instanceof Tuple)) {
    throw new TensorARError(`the pickle calls ${kindOf(callee)} with ${kindOf(args)}; only names can be called`);
  }
  const { name, meaning } = callee;
  if (meaning.kind === "call") return meaning.call(args.items, charge);
  return new Placeholder(name, MAKES_TENSOR.test(name));
}

/** An empty dictionary, a copy of one, or one made of pairs (as Python 2 pickles it). */
function dictOf(from: Value | undefined, charge: (bytes: number) => void): Dict {
  const dict = new Dict();
  if (from === undefined) return dict;
  if (from instanceof Dict) {
    charge(ENTRY_BYTES * from.entries.size);
    for (const [key, value] of from.entries) dict.entries.set(key, value);
    return dict;
  }
  if (from instanceof Placeholder) return dict; // such as the keys of a data set
  if (!(from instanceof List)) throw new TensorARError(`a dictionary is made of ${kindOf(from)}; pairs are needed`);
  charge(ENTRY_BYTES * from.items.length);
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

/** A tensor, or one that is not read. */
function expectTensor(value: Value | undefined): StoredTensor | Placeholder {
  if (value instanceof StoredTensor) return value;
  if (value instanceof Placeholder) return new Placeholder(value.name, true);
  throw new TensorARError(`a parameter is made of ${kindOf(value)} instead of a tensor`);
}

/** (function, type, arguments, state): a tensor with attributes of its own, or of a subclass. */
function rebuildFromType([callee, , args]: readonly Value[]): StoredTensor | Placeholder {
  if (!(callee instanceof Global) || !(args instanceof Tuple)) {
    throw new TensorARError(`a tensor is made by ${kindOf(callee)} with ${kindOf(args)}; save the file again`);
  }
  const rebuild = callee.name.startsWith("torch._utils._rebuild_") ? callee.meaning : inert;
  return rebuild.kind === "call"
    ? expectTensor(rebuild.call(args.items, () => undefined))
    : new Placeholder(callee.name, true);
}

/** (storage, offset, shape, strides, …) */
function rebuildTensor([storage, offset, shape, strides]: readonly Value[], type?: Value): StoredTensor | Placeholder {
  if (storage instanceof Placeholder) return new Placeholder(storage.name, true);
  if (!(storage instanceof Storage)) throw new TensorARError(`a tensor is a view of ${kindOf(storage)}, not a storage`);
  const dtype = type === undefined ? storage.dtype : elementType(type);
  if (dtype === undefined || storage.dtype === undefined)
    return new Placeholder(type === undefined ? storage.type : kindOf(type), true);
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
  const available = Math.floor((storage.elements * storage.width) / bytesPerElement(dtype));
  if (count === undefined || (count > 0 && !(last < available))) {
    throw new TensorARError(
      `${where}: shape ${quote(sizes)}, strides ${quote(steps)} and offset ${offset} reach past its ${available} elements`,
    );
  }
  const scale = storage.width / bytesPerElement(dtype);
  return new StoredTensor(storage, dtype, sizes, steps, count === 0 ? 0 : storage.begin * scale + offset);
}

/** Undefined for types that are not read. */
const elementType = (value: Value): DType | undefined =>
  value instanceof Global && value.meaning.kind === "dtype" ? value.meaning.dtype : undefined;

export const isCount = (value: Value | undefined): value is number =>
  Number.isSafeInteger(value) && (value as number) >= 0;

function integers(value: Value | undefined, what: string): number[] {
  if (!(value instanceof Tuple) || value.items.length > MAX_RANK || !value.items.every(isCount)) {
    throw new TensorARError(`${what} is not a tuple of at most ${MAX_RANK} non-negative integers`);
  }
  return value.items as number[];
}
