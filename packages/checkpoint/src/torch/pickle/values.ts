import type { DType } from "../../tensor";

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

/** An object whose kind is known and whose contents do not matter: nothing is built, nothing is called. */
export class Placeholder {
  constructor(readonly name: string) {}
}

/** One array of elements in the file, which tensors are views of. */
export class Storage {
  constructor(
    readonly key: string,
    readonly dtype: DType,
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

/** A name that a pickle may use, and what it stands for. */
export class Global {
  constructor(
    readonly name: string,
    readonly meaning: Meaning,
  ) {}
}

export type Meaning =
  | { readonly kind: "storage"; readonly dtype: DType }
  | { readonly kind: "dtype"; readonly dtype: DType | undefined }
  /** `charge` counts the work of calls, as one list can be the argument of many. */
  | { readonly kind: "call"; readonly call: (args: readonly Value[], charge: (work: number) => void) => Value }
  | { readonly kind: "inert" };

/** The kind of a value, for messages. */
export function kindOf(value: Value | undefined): string {
  if (value === undefined) return "nothing";
  if (value === null) return "None";
  if (value instanceof Uint8Array) return "bytes";
  if (value instanceof Global || value instanceof Placeholder) return value.name;
  return typeof value === "object" ? value.constructor.name.toLowerCase() : typeof value;
}
