import { setImmediate } from "node:timers/promises";
import type { TensorData } from "@tensorar/checkpoint";
import { TensorARError } from "@tensorar/core";
import * as tf from "@tensorflow/tfjs-core";
import type { Engine, Nested, Runnable } from "./engine";
import { mapNested } from "./nested";

const isTensor = (value: unknown): value is tf.Tensor => value instanceof tf.Tensor;
const isData = (value: Nested<TensorData>): value is TensorData => ArrayBuffer.isView((value as TensorData).data);

function toTensor(value: TensorData): tf.Tensor {
  if (value.dtype !== "float32" && value.dtype !== "int32" && value.dtype !== "bool") {
    throw new TensorARError(`tfjs holds float32, int32 and bool tensors, got ${value.dtype}; convert it first`);
  }
  return tf.tensor(value.data as Float32Array | Int32Array | Uint8Array, [...value.shape], value.dtype);
}

const ARRAYS = { float32: Float32Array, int32: Int32Array, bool: Uint8Array } as const;

/** In the array of its type: tfjs casts whole numbers to float32 without touching them. */
function toData(tensor: tf.Tensor): TensorData {
  const dtype = tensor.dtype as keyof typeof ARRAYS;
  return { dtype, shape: tensor.shape, data: ARRAYS[dtype].from(tensor.dataSync()) };
}

/** Runs tensor functions op by op on a tfjs backend that is already registered and selected. */
export function eagerEngine(description: string): Engine {
  return {
    description,
    async prepare(fn, _inputs, { state: stateKeys = [] } = {}) {
      let state: Record<string, Nested<tf.Tensor>> = {};
      const replaceState = (next: Record<string, Nested<tf.Tensor>>) => {
        tf.dispose(state as tf.TensorContainer);
        state = next;
      };
      const run = async (inputs: Record<string, Nested<TensorData>>) => {
        await setImmediate(); // all that follows is synchronous: a loop of calls would never see Ctrl-C
        const given = mapNested(inputs, isData, toTensor) as Record<string, Nested<tf.Tensor>>;
        const outputs = tf.tidy(() => fn({ ...given, ...state } as never) as tf.TensorContainer) as Record<
          string,
          Nested<tf.Tensor>
        >;
        tf.dispose(given as tf.TensorContainer);
        const result: Record<string, Nested<TensorData>> = {};
        const next: Record<string, Nested<tf.Tensor>> = {};
        for (const [key, value] of Object.entries(outputs)) {
          if (stateKeys.includes(key)) next[key] = value;
          else {
            result[key] = mapNested(value, isTensor, toData);
            tf.dispose(value as tf.TensorContainer);
          }
        }
        if (stateKeys.length > 0) replaceState(next);
        return result;
      };
      return Object.assign(run, {
        setState: async (next: Record<string, Nested<TensorData>>) =>
          replaceState(mapNested(next, isData, toTensor) as Record<string, Nested<tf.Tensor>>),
        getState: async () => mapNested(state, isTensor, toData) as Record<string, Nested<TensorData>>,
        dispose: async () => replaceState({}),
      }) satisfies Runnable;
    },
  };
}
