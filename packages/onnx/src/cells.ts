import { TensorARError } from "@tensorar/core";
import type { Tensor } from "onnxruntime-common";
import type { Port, Signature } from "./model";

/** One state tensor: the input it feeds, the output that replaces it, the current value and a buffer for the next. */
export interface Cell {
  readonly input: Port;
  readonly output: string;
  current: Tensor | undefined;
  spare: Tensor | undefined;
}

/** The cells of the tensors under the keys of `state`. @throws TensorARError where an input lacks its output, or the reverse */
export function makeCells({ inputs, outputs, paths }: Signature, state: readonly string[]): Cell[] {
  const below = (key: string, path: string): boolean => path === key || path.startsWith(`${key}/`);
  const cells = state.flatMap((key) => {
    const found = inputs.filter(({ name }) => below(key, name));
    if (found.length === 0)
      throw new TensorARError(`state key "${key}" is no input; inputs are ${topKeys(inputs.map(({ name }) => name))}`);
    return found.map((input) => {
      const index = paths.indexOf(input.name);
      if (index < 0)
        throw new TensorARError(
          `state "${input.name}" is an input but no output; return its next value under the same key`,
        );
      return { input, output: outputs[index]!.name, current: undefined, spare: undefined };
    });
  });
  const fed = new Set(cells.map(({ input }) => input.name));
  const lost = paths.find((path) => state.some((key) => below(key, path)) && !fed.has(path));
  if (lost !== undefined)
    throw new TensorARError(`state "${lost}" is an output but no input; take its previous value under the same key`);
  return cells;
}

export const topKeys = (names: readonly string[]): string =>
  [...new Set(names.map((name) => `"${name.split("/")[0]}"`))].join(", ");
