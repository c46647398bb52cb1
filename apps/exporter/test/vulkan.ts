import { spawnSync } from "node:child_process";
import { createRequire } from "node:module";
import { serializeModel, trace } from "@tensorar/onnx";
import type * as tf from "@tensorflow/tfjs-core";

const PROBE = `
const ort = require(${JSON.stringify(createRequire(import.meta.url).resolve("onnxruntime-node"))});
(async () => {
  const model = require("node:fs").readFileSync(0);
  const session = await ort.InferenceSession.create(model, { executionProviders: ["webgpu"] });
  const { y } = await session.run({ x: new ort.Tensor(Float32Array.of(21), [1]) });
  process.exitCode = y.data[0] === 42 ? 0 : 1;
})();`;

/** Whether ONNX Runtime finds a WebGPU device that adds. Asked in a process of its own, since a failing driver can end it. */
export function hasWebGpu(): boolean {
  const double = ({ x }: { x: tf.Tensor }) => ({ y: x.add(x) });
  const input = serializeModel(trace(double, { x: { dtype: "float32", shape: [1] } }));
  return spawnSync(process.execPath, ["-e", PROBE], { input, timeout: 60_000 }).status === 0;
}
