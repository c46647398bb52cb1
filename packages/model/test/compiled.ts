import { compile } from "@tensorar/onnx";
import type * as tf from "@tensorflow/tfjs-core";
import * as runtime from "onnxruntime-node";

/**
 * The result of a function of int32 tensors, run compiled: for models too large for tfjs' own backends. That compiled
 * equals eager is tested at small sizes.
 */
export async function compiled(
  fn: (inputs: Record<string, tf.Tensor>) => tf.Tensor,
  inputs: Record<string, tf.Tensor>,
): Promise<{ readonly shape: readonly number[]; readonly data: Float32Array }> {
  const specs = Object.fromEntries(
    Object.entries(inputs).map(([name, { shape }]) => [name, { dtype: "int32" as const, shape: [...shape] }]),
  );
  const feeds = Object.fromEntries(
    Object.entries(inputs).map(([name, tensor]) => [
      name,
      { dtype: "int32" as const, shape: tensor.shape, data: tensor.dataSync<"int32">() },
    ]),
  );
  const run = await compile((each: Record<string, tf.Tensor>) => ({ result: fn(each) }), specs, {
    runtime,
    threads: 2,
  });
  try {
    const { result } = await run(feeds as never);
    return result as unknown as { shape: readonly number[]; data: Float32Array };
  } finally {
    await run.dispose();
  }
}
