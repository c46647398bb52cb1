import { TensorARError } from "@tensorar/core";
import { loadOptional, type Places } from "@tensorar/core/node";
import type { Runtime } from "./session";

/** ONNX Runtime for Node: what `onnxruntime-node` exports, as far as it is used here. */
export interface NodeRuntime extends Runtime {
  listSupportedBackends(): readonly { readonly name: string }[];
}

const MICROSOFTS = "onnxruntime-node";

/**
 * The same library for the processor, where Microsoft's package can't be installed without another host than the npm
 * registry: on Linux x64 its install script downloads CUDA libraries, and npm leaves the package out when that fails.
 */
const OURS = process.platform === "linux" && process.arch === "x64" ? ["@tensorar/onnxruntime-linux-x64"] : [];

/** Packages that hold it, the first that can be used is. */
export const RUNTIME_PACKAGES: readonly string[] = [MICROSOFTS, ...OURS];

/**
 * Loads ONNX Runtime for Node: `onnxruntime-node` where it is installed, or else the processor's part of it from
 * `@tensorar/onnxruntime-linux-x64`.
 *
 * @param places where they are looked for: `[import.meta.url]` of a module whose package depends on them
 * @throws TensorARError (`missing`) that says for each package why it can't be used
 */
export function loadRuntime(places: Places): NodeRuntime {
  const reasons: string[] = [];
  for (const name of RUNTIME_PACKAGES) {
    const loaded = loadOptional(name, places);
    if ("module" in loaded) return loaded.module as NodeRuntime;
    reasons.push(loaded.reason);
  }
  throw new TensorARError(
    `ONNX Runtime can't be loaded: ${reasons.join("; ")}; run \`npm install --ignore-scripts ${MICROSOFTS}\``,
    { code: "missing" },
  );
}
