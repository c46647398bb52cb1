import { TensorARError } from "./errors";

/** A leaf, or records and arrays of leaves to any depth. Leaves are named by their key path: `params/layers.0/weight`. */
export type Nested<T> = T | readonly Nested<T>[] | { readonly [key: string]: Nested<T> };

/** Leaves with their names, in order. */
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

/**
 * Calls `visit` with each leaf, and with what lies in its place in `given`: undefined where nothing does.
 * @returns whether `given` holds nothing besides
 */
export function visitTogether<T>(
  nested: Nested<T>,
  given: unknown,
  isLeaf: (value: unknown) => value is T,
  visit: (leaf: T, given: unknown) => void,
): boolean {
  if (isLeaf(nested)) {
    visit(nested, given);
    return true;
  }
  const children = Object(given) as Readonly<Record<string | number, unknown>>;
  let nothingElse = true;
  const descend = (child: Nested<T>, below: unknown): void => {
    nothingElse = visitTogether(child, below, isLeaf, visit) && nothingElse;
  };
  if (Array.isArray(nested)) for (let i = 0; i < nested.length; i++) descend(nested[i], children[i]);
  else for (const key in nested) descend((nested as Readonly<Record<string, Nested<T>>>)[key]!, children[key]);
  return nothingElse && sizeOf(children) <= sizeOf(nested as object);
}

const sizeOf = (level: object): number => (Array.isArray(level) ? level.length : Object.keys(level).length);

/** The same nesting with each leaf replaced by what `leaf` makes of it. */
export function mapLeaves<T, U>(
  nested: Nested<T>,
  isLeaf: (value: unknown) => value is T,
  leaf: (value: T) => U,
): Nested<U> {
  if (isLeaf(nested)) return leaf(nested);
  if (Array.isArray(nested)) return nested.map((child) => mapLeaves(child, isLeaf, leaf));
  const mapped: Record<string, Nested<U>> = {};
  for (const key in nested)
    mapped[key] = mapLeaves((nested as Readonly<Record<string, Nested<T>>>)[key]!, isLeaf, leaf);
  return mapped;
}

/** As {@link mapLeaves}, with the names of the leaves, in the order of `flatten`. */
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
