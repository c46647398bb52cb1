import { flatten, type Nested, type TensorData } from "@tensorar/core";
import { type AnyProgram, runAnyProgram } from "@tensorar/program";
import type { Named } from "./open-graph";

/** Outputs of a program by name, on the current tfjs backend. A list holds one array for each tensor. */
export function runEagerly(program: AnyProgram, inputs: Named<TensorData>): Map<string, Float32Array[]> {
  const outputs = runAnyProgram(program, inputs) as Named<TensorData>;
  return new Map(
    Object.entries(outputs).map(([name, value]) => [
      name,
      listOf(value).map(({ data }) => Float32Array.from(data as Float32Array)),
    ]),
  );
}

const isData = (value: unknown): value is TensorData => ArrayBuffer.isView(Object(value).data);

/** The tensors of an output in their order. */
export const listOf = (value: Nested<TensorData>): readonly TensorData[] =>
  flatten(value, isData, "output").map(([, tensor]) => tensor);
