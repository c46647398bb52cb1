import type { Graph, Node } from "../graph";

/** Drops nodes whose results nobody uses. */
export function removeDead(graph: Graph): Graph {
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
