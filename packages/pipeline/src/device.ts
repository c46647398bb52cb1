import { quote, TensorARError } from "@tensorar/core";

/** What runs a model, as providers of ONNX Runtime in order of preference. */
export const PROVIDERS = {
  cpu: ["cpu"],
  wasm: ["wasm"],
  webgpu: ["webgpu"],
  cuda: ["cuda", "cpu"],
  tensorrt: ["tensorrt", "cuda", "cpu"],
  directml: ["dml", "cpu"],
  coreml: ["coreml", "cpu"],
} as const satisfies Record<string, readonly string[]>;

/** `cpu` is native code in Node and WebAssembly in a browser. */
export type Device = keyof typeof PROVIDERS;

/** @throws TensorARError naming the devices when it is none of them */
export function checkDevice(device: Device): Device {
  if (Object.hasOwn(PROVIDERS, device)) return device;
  throw new TensorARError(`device ${quote(device)} is unknown; use ${Object.keys(PROVIDERS).map(quote).join(", ")}`);
}
