import * as tf from "@tensorflow/tfjs-core";

/** tfjs on its plain JavaScript backend, which shares no code with ONNX Runtime. */
export async function eagerBackend(): Promise<void> {
  await import("@tensorflow/tfjs");
  tf.enableProdMode(); // only silences the advice to install another backend
  await tf.setBackend("cpu");
}
