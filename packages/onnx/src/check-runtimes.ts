import { checkPackage, type PackageCheck, type Places, tryModule } from "@tensorar/core/node";
import { identityModel } from "./identity";
import { RUNTIME_PACKAGES } from "./load-runtime";

const CUDA_LIBRARIES =
  "ONNX Runtime's CUDA libraries: npm install --ignore-scripts onnxruntime-node && ONNXRUNTIME_NODE_INSTALL=cuda12 npm rebuild onnxruntime-node";

/** What is missing where an execution provider does not start. */
export const PROVIDER_REMEDIES: Readonly<Record<string, string>> = {
  webgpu: "it needs a GPU with a Vulkan driver and the loader libvulkan.so.1, or a software driver",
  cuda: `install ${CUDA_LIBRARIES}`,
  tensorrt: `install TensorRT and ${CUDA_LIBRARIES}`,
  dml: "DirectML is a part of Windows",
  coreml: "Core ML is a part of macOS",
};

/** What ONNX Runtime says of a failure, without the places in its source that its messages begin with. */
export const runtimeReason = (message: string): string =>
  message
    .trim()
    .split(/ was false\. |\): /)
    .at(-1)!;

/** A package of ONNX Runtime; `details` says of each execution provider in it whether it works on this machine. */
export interface RuntimeCheck extends PackageCheck {
  readonly details: readonly string[];
}

/**
 * Tries every package that {@link loadRuntime} would take, in its order, and every execution provider that they have: a small
 * graph is run on each, in a process of its own, as a failing driver can end it.
 */
export const checkRuntimes = (places: Places): Promise<RuntimeCheck[]> =>
  Promise.all(
    RUNTIME_PACKAGES.map(async (name) => {
      const check = await checkPackage(name, places, "return loaded.listSupportedBackends().map(({ name }) => name);");
      const providers = (check.result ?? []) as readonly string[];
      return { ...check, details: await Promise.all(providers.map((provider) => tryProvider(check.path!, provider))) };
    }),
  );

const COPY_A_NUMBER = `
  const [provider, model] = args;
  loaded.env.logLevel = "fatal";
  const options = { executionProviders: [provider] };
  const session = await loaded.InferenceSession.create(Buffer.from(model, "base64"), options);
  const outputs = await session.run({ x: new loaded.Tensor("float32", [42], [1]) });
  if (outputs[session.outputNames[0]].data[0] !== 42) throw new Error("it computes wrong values");`;

async function tryProvider(path: string, name: string): Promise<string> {
  const model = Buffer.from(identityModel([{ name: "x", dtype: "float32", shape: [1] }])).toString("base64");
  const { reason } = await tryModule(path, COPY_A_NUMBER, [name, model]);
  if (reason === undefined) return `${name} works`;
  return [`${name} does not: ${runtimeReason(reason)}`, PROVIDER_REMEDIES[name] ?? []].flat().join("; ");
}
