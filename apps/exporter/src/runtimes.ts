import { TensorARError } from "@tensorar/core";
import * as tf from "@tensorflow/tfjs-core";

export async function onnxRuntime(): Promise<typeof import("onnxruntime-node")> {
  try {
    return await import("onnxruntime-node");
  } catch (error) {
    throw new TensorARError(
      `ONNX Runtime can't be loaded (${(error as Error).message.split("\n")[0]}); run \`npm install onnxruntime-node\``,
    );
  }
}

/** tfjs on its plain JavaScript backend, which shares no code with ONNX Runtime. */
export async function eagerBackend(): Promise<void> {
  await import("@tensorflow/tfjs");
  tf.enableProdMode(); // only silences the advice to install another backend
  await tf.setBackend("cpu");
}
