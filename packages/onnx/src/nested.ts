import { TensorARError } from "./errors";

/** A leaf, or records and arrays of leaves to any depth. Leaves are named by their key path: `params/layers.0/weight`. */
export type Nested<T> = T | readonly Nested<T>[] | { readonly [key: string]: Nested<T> };

export type Entries<T> = readonly (readonly [name: string, leaf: T])[];

/** All leaves in order, with their names. A single leaf at the top is named `alone`. */
export function flatten<T>(nested: Nested<T>, isLeaf: (value: unknown) => value is T, alone: string): Entries<T> {
  if (isLeaf(nested)) return [[alone, nested]];
  const entries: [string, T][] = [];
  const visit = (value: unknown, path: string): void => {
    if (isLeaf(value)) return void entries.push([path, value]);
    if (typeof value !== "object" || value === null) {
      throw new TensorARError(
        `"${path || alone}" is ${describe(value)}; a tensor, an array or a record of tensors is expected`,
      );
    }
    for (const [key, child] of Object.entries(value)) {
      if (key === "" || key.includes("/")) {
        throw new TensorARError(
          `key "${key}" ${path && `in "${path}" `}can't be part of an ONNX name; use a non-empty key without "/"`,
        );
      }
      visit(child, path ? `${path}/${key}` : key);
    }
  };
  visit(nested, "");
  return entries;
}

/** What lies at a name; undefined where nothing does. A single leaf at the top is named `alone`. */
export function leafAt(nested: unknown, name: string, alone: string): unknown {
  if (!name.includes("/"))
    return (nested as Readonly<Record<string, unknown>>)[name] ?? (name === alone ? nested : undefined);
  let at = nested;
  for (const key of name.split("/")) {
    if (typeof at !== "object" || at === null) return undefined;
    at = (at as Readonly<Record<string, unknown>>)[key];
  }
  return at;
}

/** How many leaves there are. @throws as {@link flatten} */
export function countLeaves<T>(nested: Nested<T>, isLeaf: (value: unknown) => value is T): number {
  if (isLeaf(nested)) return 1;
  if (typeof nested !== "object" || nested === null)
    throw new TensorARError(`${describe(nested)} is given where a tensor, an array or a record of tensors is expected`);
  let count = 0;
  for (const key in nested) count += countLeaves((nested as Readonly<Record<string, Nested<T>>>)[key]!, isLeaf);
  return count;
}

/** The same nesting with each leaf replaced by what `leaf` makes of it, called in the order of `flatten`. */
export function mapNested<T, U>(
  nested: Nested<T>,
  isLeaf: (value: unknown) => value is T,
  alone: string,
  leaf: (value: T, name: string) => U,
): Nested<U> {
  const visit = (value: Nested<T>, path: string): Nested<U> => {
    if (isLeaf(value)) return leaf(value, path || alone);
    const below = (key: string): string => (path ? `${path}/${key}` : key);
    if (Array.isArray(value)) return value.map((child, i) => visit(child, below(String(i))));
    return Object.fromEntries(Object.entries(value).map(([key, child]) => [key, visit(child, below(key))]));
  };
  return visit(nested, "");
}

/** Rebuilds nested records from names; a level whose keys are 0, 1, 2, … becomes an array. */
export function unflatten<T>(entries: Entries<T>, alone: string): Nested<T> {
  if (entries.length === 1 && entries[0]![0] === alone) return entries[0]![1];
  const groups = new Map<string, [string, T][]>();
  const leaves = new Map<string, T>();
  for (const [name, leaf] of entries) {
    const [head, ...rest] = name.split("/") as [string, ...string[]];
    if (rest.length === 0) leaves.set(head, leaf);
    if (!groups.has(head)) groups.set(head, []);
    if (rest.length > 0) groups.get(head)!.push([rest.join("/"), leaf]);
  }
  const children = [...groups].map(([key, below]): [string, Nested<T>] => [
    key,
    leaves.has(key) ? (leaves.get(key) as T) : unflatten(below, ""),
  ]);
  const isArray = children.length > 0 && children.every(([key], i) => key === String(i));
  return isArray ? children.map(([, child]) => child) : Object.fromEntries(children);
}

const describe = (value: unknown): string => (value === null ? "null" : `of type ${typeof value}`);
