import type { TensorData } from "@tensorar/core";
import * as tf from "@tensorflow/tfjs-core";

/** Moves freshly initialised tfjs parameters to host tensors and frees them. */
export function hostParams(params: Record<string, tf.Tensor>): Record<string, TensorData> {
  const host = Object.fromEntries(
    Object.entries(params).map(([name, tensor]): [string, TensorData] => [
      name,
      { dtype: "float32", shape: tensor.shape, data: tensor.dataSync<"float32">().slice() },
    ]),
  );
  tf.dispose(params);
  return host;
}
