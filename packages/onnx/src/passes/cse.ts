import type { Graph, Literal, Value } from "../graph";
import { rewrite } from "./rewrite";

/** Computes equal things once: a node with the same operator, operands and attributes as an earlier one is replaced by it. */
export function eliminateCommonSubexpressions(graph: Graph): Graph {
  const ids = new Identities();
  const seen = new Map<string, readonly Value[]>();
  return rewrite(graph, (node) => {
    const key = [
      node.op,
      node.outputs.length,
      JSON.stringify(node.attributes),
      ...node.inputs.map((input) => ids.of(input)),
    ].join(" ");
    const earlier = seen.get(key);
    if (!earlier) seen.set(key, node.outputs);
    return earlier;
  });
}

/** A string for every value, the same for constants of the same content. */
class Identities {
  readonly #ids = new Map<Value, string>();

  of(value: Value | undefined): string {
    if (!value) return "-";
    const known = this.#ids.get(value);
    if (known) return known;
    const literal = value.source.kind === "constant" ? value.source.literal : undefined;
    const content = literal && contentKey(value, literal);
    const id = content ?? `#${this.#ids.size}`;
    this.#ids.set(value, id);
    return id;
  }
}

/** Everything about a constant as a string; large data is told apart by identity only. */
export function contentKey({ dtype, shape }: Value, literal: Literal): string | undefined {
  if (literal.kind === "data") {
    return literal.data.length > 4096 ? undefined : JSON.stringify([dtype, shape, [...literal.data].map(exactly)]);
  }
  const value = literal.kind === "fill" && typeof literal.value === "number" ? exactly(literal.value) : literal;
  return JSON.stringify([dtype, shape, literal.kind, value]);
}

/** JSON has no -0, NaN or infinities. */
const exactly = (value: number): string => (Object.is(value, -0) ? "-0" : String(value));
