import { quote, ShapeError, TensorARError } from "@tensorar/core";
import type { StepTensor } from "./cached-decoder";

/** A tensor as whatever runs the model returns it. Its type and shape are checked where it is read. */
export interface OutputTensor {
  readonly dtype: string;
  readonly shape: readonly number[];
  readonly data: ArrayBufferView;
}

/** Outputs whose names are known when the graph runs, as `openModel` of `@tensorar/onnx` returns those of a file. */
export type NamedOutputs = OutputTensor | readonly NamedOutputs[] | { readonly [name: string]: NamedOutputs };

/** The output of this name, if there is one. */
export function findOutput(outputs: object, name: string): OutputTensor | undefined {
  const found: unknown = (outputs as Readonly<Record<string, unknown>>)[name];
  return isTensor(found) ? found : undefined;
}

/**
 * Logits [R, ..., k, V] that a step returned; one position may have an axis of its own.
 * @throws TensorARError when there are none, or none of this type and size, naming what there is
 */
export function readLogits(where: string, outputs: object, shape: readonly number[]): Float32Array {
  const found = findOutput(outputs, "logits");
  if (!found) {
    const names = Object.keys(outputs).map(quote).join(", ") || "nothing";
    throw new TensorARError(`${where}: the step returns ${names} and no "logits"; name that output so`);
  }
  const numbers = readFloats(where, "logits", found);
  if (found.shape.at(-1) !== shape.at(-1) || numbers.length !== shape.reduce((product, size) => product * size, 1))
    throw new ShapeError(
      `${where}: the step returns logits [${found.shape.join(", ")}]; [${shape.join(", ")}] fit its window and codes`,
    );
  return numbers;
}

/** @throws TensorARError when the output is of another type than float32 */
export function readFloats(where: string, name: string, { dtype, data }: OutputTensor): Float32Array {
  if (dtype === "float32" && data instanceof Float32Array) return data;
  throw new TensorARError(`${where}: the step returns ${name} in ${dtype}; return float32`);
}

/** States [R, k, D] or [R, L, k, D] as the function of sub-tokens takes them: [R · L, k, D]. */
export function readStates(where: string, outputs: object, windowSize: number): StepTensor | undefined {
  const states = findOutput(outputs, "states");
  if (!states) return undefined;
  const data = readFloats(where, "states", states);
  const width = states.shape.at(-1)!;
  return { dtype: "float32", shape: [data.length / (windowSize * width), windowSize, width], data };
}

function isTensor(value: unknown): value is OutputTensor {
  const { shape, data } = Object(value) as Partial<OutputTensor>;
  return Array.isArray(shape) && ArrayBuffer.isView(data);
}
