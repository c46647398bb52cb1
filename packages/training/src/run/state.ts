import type { TensorData, TensorSpec } from "@tensorar/core";
import type { TrainingState } from "../tasks/task";

export const SCALAR: TensorSpec = { dtype: "float32", shape: [] };

export const scalar = (value: number): TensorData => ({ dtype: "float32", shape: [], data: Float32Array.of(value) });

/** A state in its one order, that of the names: sums over it are the same whether it was made or loaded. */
export const inOrder = (state: TrainingState): TrainingState =>
  sorted(state, (record) => sorted(record, (tensor) => tensor));

const sorted = <In, Out>(record: Readonly<Record<string, In>>, each: (value: In) => Out): Record<string, Out> =>
  Object.fromEntries(
    Object.keys(record)
      .sort()
      .map((name) => [name, each(record[name]!)]),
  );

/** Types and shapes of a state. */
export const specsOf = (state: TrainingState): Record<string, Record<string, TensorSpec>> =>
  sorted(state, (record) => sorted(record, ({ shape }) => ({ dtype: "float32", shape })));
