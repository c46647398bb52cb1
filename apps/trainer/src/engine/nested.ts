import type { Nested } from "./engine";

/** The same records and arrays with every leaf (as told by `isLeaf`) replaced. */
export function mapNested<A, B>(
  value: Nested<A>,
  isLeaf: (value: Nested<A>) => value is A & Nested<A>,
  map: (leaf: A) => B,
): Nested<B> {
  if (isLeaf(value)) return map(value);
  if (Array.isArray(value)) return value.map((item: Nested<A>) => mapNested(item, isLeaf, map));
  return Object.fromEntries(
    Object.entries(value as Record<string, Nested<A>>).map(([key, item]) => [key, mapNested(item, isLeaf, map)]),
  );
}
