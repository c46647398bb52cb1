import type { DType } from "@tensorar/core";

// What a pickle can hold here. Dictionaries are Maps and objects are inert: no name in a file ever becomes a property.

export type Value =
  | null
  | boolean
  | number
  | bigint
  | string
  | Uint8Array
  | List
  | Tuple
  | Dict
  | Global
  | Placeholder
  | Storage
  | StoredTensor;

/** A list or a set. */
export class List {
  readonly items: Value[] = [];
}

export class Tuple {
  constructor(readonly items: readonly Value[]) {}
}

/** dict, OrderedDict, defaultdict. */
export class Dict {
  readonly entries = new Map<Value, Value>();
}

const LONGEST_NAME = 200;

/** What is not made: an object of a class, or the result of a function, of which only the name is known. Nothing is called. */
export class Placeholder {
  /** For messages: a pickle can hold a name of any length. */
  readonly name: string;

  constructor(
    name: string,
    /** Whether a tensor would stand here: of a type, or made in a way, that is not read. */
    readonly isTensor = false,
  ) {
    this.name = name.slice(0, LONGEST_NAME);
  }
}

/** One array of elements in the file, which tensors are views of. */
export class Storage {
  constructor(
    readonly key: string,
    /** Such as `torch.FloatStorage`. */
    readonly type: string,
    /** Undefined for types that are not read. */
    readonly dtype: DType | undefined,
    /** Bytes of an element. */
    readonly width: number,
    /** Elements of the array in the file. */
    readonly fileElements: number,
    /** The part of it that this storage is. */
    readonly begin: number,
    readonly elements: number,
  ) {}
}

/** A view of a storage; offset and strides count elements of `dtype`. Checked to lie inside. */
export class StoredTensor {
  constructor(
    readonly storage: Storage,
    readonly dtype: DType,
    readonly shape: readonly number[],
    readonly strides: readonly number[],
    /** From the start of the storage's array in the file. */
    readonly offset: number,
  ) {}
}

/** A name of a class, function or type that a pickle uses, and what it stands for. */
export class Global {
  constructor(
    readonly name: string,
    readonly meaning: Meaning,
  ) {}
}

export type Meaning =
  | { readonly kind: "storage"; readonly dtype: DType | undefined; readonly width: number }
  | { readonly kind: "dtype"; readonly dtype: DType | undefined }
  /** `charge` counts bytes of memory, as one list can be the argument of many calls. */
  | { readonly kind: "call"; readonly call: (args: readonly Value[], charge: (bytes: number) => void) => Value }
  | { readonly kind: "inert" };

/** The kind of a value, for messages. */
export function kindOf(value: Value | undefined): string {
  if (value === undefined) return "nothing";
  if (value === null) return "None";
  if (value instanceof Uint8Array) return "bytes";
  if (value instanceof Global) return value.name;
  if (value instanceof Placeholder) return `an object of ${value.name}`;
  return typeof value === "object" ? value.constructor.name.toLowerCase() : typeof value;
}
