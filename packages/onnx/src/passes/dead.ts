import type { Graph, Node } from "../graph";

/** Drops nodes whose results nobody uses. */
export function eliminateDeadCode(graph: Graph): Graph {
  const alive = new Set<Node>();
  const pending = graph.outputs.map(({ value }) => value);
  for (let value = pending.pop(); value; value = pending.pop()) {
    if (value.source.kind !== "node" || alive.has(value.source.node)) continue;
    alive.add(value.source.node);
    for (const input of value.source.node.inputs) if (input) pending.push(input);
  }
  if (alive.size === graph.nodes.length) return graph;
  return { ...graph, nodes: graph.nodes.filter((node) => alive.has(node)) };
}

/** Drops inputs that no node reads and no output is. */
export function dropUnusedInputs(graph: Graph): Graph {
  const used = new Set([...graph.nodes.flatMap(({ inputs }) => inputs), ...graph.outputs.map(({ value }) => value)]);
  return { ...graph, inputs: graph.inputs.filter((input) => used.has(input)) };
}
