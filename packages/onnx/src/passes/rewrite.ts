import { Builder, type Graph, makeNode, type Node, type Value } from "../graph";

/**
 * Returns values to use in place of the node's outputs (made with `g`, or existing ones), or undefined to keep the node.
 * The node's inputs are already those of the new graph.
 */
export type Rule = (node: Node, g: Builder) => readonly Value[] | undefined;

/** One pass over the graph in order, with `rule` applied to every node once its inputs are done. Unchanged graphs come back as they are. */
export function rewrite(graph: Graph, rule: Rule): Graph {
  const g = new Builder();
  const replaced = new Map<Value, Value>();
  let fired = false;
  const current = (value: Value): Value => replaced.get(value) ?? value;
  for (const node of graph.nodes) {
    const inputs = node.inputs.map((input) => input && current(input));
    const changed = inputs.some((input, i) => input !== node.inputs[i]);
    const next = changed ? makeNode(node.op, inputs, node.outputs, node.attributes, node.origin) : node;
    g.origin = node.origin;
    const results = rule(next, g);
    if (results) fired = true;
    else g.nodes.push(next);
    const values = results ?? next.outputs;
    for (const [i, output] of node.outputs.entries()) {
      const value = values[i];
      if (value && value !== output) replaced.set(output, value);
    }
  }
  if (!fired) return graph;
  return {
    ...graph,
    nodes: g.nodes,
    outputs: graph.outputs.map(({ name, value }) => ({ name, value: current(value) })),
  };
}
