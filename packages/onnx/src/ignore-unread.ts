import type { CompiledFunction } from "./session";

/**
 * An opened graph that may be given more than it takes, as the graph of a program is: which of its inputs are left, parts of them
 * too, depends on what it reads.
 */
export function ignoreUnread(graph: CompiledFunction): CompiledFunction {
  const names = new Set(graph.inputs.map(({ name }) => name));
  const taken = (given: object, within = ""): object =>
    Object.fromEntries(
      Object.entries(given).flatMap(([key, value]): [string, unknown][] => {
        const name = `${within}${key}`;
        if (names.has(name)) return [[key, value]];
        const isRead = [...names].some((each) => each.startsWith(`${name}/`));
        return isRead ? [[key, taken(value as object, `${name}/`)]] : [];
      }),
    );
  const { inputs, outputs } = graph;
  return Object.assign((given: Parameters<CompiledFunction>[0]) => graph(taken(given) as typeof given), {
    setState: (state: Parameters<CompiledFunction["setState"]>[0]) => graph.setState(taken(state) as typeof state),
    getState: () => graph.getState(),
    dispose: () => graph.dispose(),
    inputs,
    outputs,
  });
}
