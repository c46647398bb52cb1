import type { CompiledFunction } from "./session";

/**
 * An opened graph that may be given more than it takes, as the graph of a program is: which of its inputs are left depends on
 * what it reads.
 */
export function ignoreUnread(graph: CompiledFunction): CompiledFunction {
  const names = new Set(graph.inputs.map(({ name }) => name.split("/")[0]));
  const taken = <T extends object>(given: T) =>
    Object.fromEntries(Object.entries(given).filter(([name]) => names.has(name)));
  const { inputs, outputs } = graph;
  return Object.assign((given: object) => graph(taken(given)), {
    setState: (state: Parameters<CompiledFunction["setState"]>[0]) => graph.setState(taken(state)),
    getState: () => graph.getState(),
    dispose: () => graph.dispose(),
    inputs,
    outputs,
  });
}
