import type { TensorData } from "@tensorar/checkpoint";
import type { TensorSpec, Tensors } from "@tensorar/onnx";
import * as tf from "@tensorflow/tfjs-core";
import { type ExportedFunction, type Named, toTensor } from "./functions";

/** Outputs of a function by name, on the current tfjs backend. A list holds one array for each tensor. */
export function runEagerly<Inputs extends Named<TensorSpec>>(
  fn: ExportedFunction<Inputs>,
  inputs: Named<TensorData>,
): Map<string, Float32Array[]> {
  const results = new Map<string, Float32Array[]>();
  tf.tidy(() => {
    for (const [output, value] of Object.entries(fn.run(toTensors<Inputs>(inputs))))
      results.set(
        output,
        listOf(value).map((tensor) => Float32Array.from(tensor.dataSync())),
      );
  });
  return results;
}

/** The same nesting of tfjs tensors that the function takes; the inputs must be made for it. */
const toTensors = <Inputs>(inputs: Named<TensorData>): Tensors<Inputs> =>
  Object.fromEntries(
    Object.entries(inputs).map(([key, value]) => {
      if (isList(value)) return [key, value.map(toTensor)];
      if (isData(value)) return [key, toTensor(value)];
      return [key, Object.fromEntries(Object.entries(value).map(([name, each]) => [name, toTensor(each)]))];
    }),
  ) as Tensors<Inputs>;

const isList = <T>(value: object): value is readonly T[] => Array.isArray(value);
const isData = (value: object): value is TensorData => "data" in value;
/** Outputs are single tensors or lists. */
export const listOf = <T extends object>(value: Named<T>[string]): readonly T[] =>
  isList<T>(value) ? value : [value as T];
