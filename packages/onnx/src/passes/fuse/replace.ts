import { Builder, type Graph, makeNode, type Node, type Value } from "../../graph";
import { eliminateDeadCode } from "../dead";

/** What some nodes of a graph are replaced by. */
export interface Replacement {
  /** The new nodes take the place of this one: what they read must be there by then. */
  readonly at: Node;
  /** Makes the nodes. The values it reads must go through `current`. Returns what to use instead of values of the graph. */
  emit(g: Builder, current: (value: Value) => Value): ReadonlyMap<Value, Value>;
}

/** Looks at the graph as it is, with a node as the last of a pattern. */
export type Pattern = (node: Node, uses: Uses) => Replacement | undefined;

/** Replaces every occurrence of a pattern, and drops what nobody needs any more. */
export function replaceAll(graph: Graph, pattern: Pattern): Graph {
  const uses = new Uses(graph);
  const found = new Map<Node, Replacement>();
  for (const node of graph.nodes) {
    const replacement = pattern(node, uses);
    if (replacement && !found.has(replacement.at)) found.set(replacement.at, replacement);
  }
  if (found.size === 0) return graph;
  const g = new Builder();
  const replaced = new Map<Value, Value>();
  const current = (value: Value): Value => replaced.get(value) ?? value;
  for (const node of graph.nodes) {
    g.origin = node.origin;
    for (const [before, after] of found.get(node)?.emit(g, current) ?? []) replaced.set(before, after);
    if (node.outputs.every((output) => replaced.has(output))) continue;
    const inputs = node.inputs.map((input) => input && current(input));
    if (inputs.every((input, i) => input === node.inputs[i])) g.nodes.push(node);
    else {
      const next = makeNode(node.op, inputs, node.outputs, node.attributes, node.origin);
      g.nodes.push(next);
      for (const [i, output] of node.outputs.entries())
        if (!replaced.has(output)) replaced.set(output, next.outputs[i]!);
    }
  }
  const outputs = graph.outputs.map(({ name, value }) => ({ name, value: current(value) }));
  return eliminateDeadCode({ ...graph, nodes: g.nodes, outputs });
}

/** Who reads a value. What an occurrence of a pattern makes on its way must be read by nobody else. */
export class Uses {
  readonly #readers = new Map<Value, Node[]>();
  readonly #outputs: ReadonlySet<Value>;

  constructor(graph: Graph) {
    this.#outputs = new Set(graph.outputs.map(({ value }) => value));
    for (const node of graph.nodes) {
      for (const input of new Set(node.inputs)) {
        if (!input) continue;
        const readers = this.#readers.get(input);
        if (readers) readers.push(node);
        else this.#readers.set(input, [node]);
      }
    }
  }

  /** The nodes that read a value. */
  readers(value: Value): readonly Node[] {
    return this.#readers.get(value) ?? [];
  }

  /** The same, where nobody else reads it; undefined for an output of the graph. */
  of(value: Value): readonly Node[] | undefined {
    return this.#outputs.has(value) ? undefined : this.readers(value);
  }

  /** The node that makes a value, if that is this operator and just one node reads it. */
  only(value: Value | undefined, op: string): Node | undefined {
    if (value?.source.kind !== "node" || value.source.node.op !== op) return undefined;
    return this.of(value)?.length === 1 ? value.source.node : undefined;
  }
}
