import { createRequire } from "node:module";
import * as tf from "@tensorflow/tfjs-core";
import { TensorARError } from "../errors";
import { eagerEngine } from "./eager-engine";
import { ENGINE_NAMES, type Engine, type EngineName } from "./engine";
import { onnxEngine } from "./onnx-engine";

const require = createRequire(import.meta.url);

/** Loads a package that may be absent or present without its native library; the reason when it can't be used. */
function tryRequire(name: string): { module: unknown } | { reason: string } {
  try {
    return { module: require(name) };
  } catch (error) {
    return { reason: `${name}: ${(error as Error).message.split("\n")[0]}` };
  }
}

interface Attempt {
  readonly engine?: Engine;
  readonly reason?: string;
}

async function tryOnnx(threads: number): Promise<Attempt> {
  const loaded = tryRequire("onnxruntime-node");
  if ("reason" in loaded) return { reason: loaded.reason };
  return { engine: onnxEngine(loaded.module as typeof import("onnxruntime-node"), threads) };
}

async function tryTensorflow(): Promise<Attempt> {
  const reasons: string[] = [];
  for (const name of ["@tensorflow/tfjs-node-gpu", "@tensorflow/tfjs-node"]) {
    const loaded = tryRequire(name);
    if ("reason" in loaded) reasons.push(loaded.reason);
    else {
      await tf.setBackend("tensorflow");
      return { engine: eagerEngine(`tfjs tensorflow backend (${name})`) };
    }
  }
  return { reason: reasons.join("; ") };
}

async function tryBackend(name: "wasm" | "cpu"): Promise<Attempt> {
  if (name === "wasm") await import("@tensorflow/tfjs-backend-wasm");
  if (!(await tf.setBackend(name))) return { reason: `the tfjs backend ${name} could not be initialised` };
  return { engine: eagerEngine(`tfjs ${name} backend`) };
}

const attempts: Record<Exclude<EngineName, "auto">, (threads: number) => Promise<Attempt>> = {
  onnx: tryOnnx,
  tensorflow: tryTensorflow,
  wasm: () => tryBackend("wasm"),
  cpu: () => tryBackend("cpu"),
};

// `wasm` lacks kernels that gradients need, so it is only used when asked for.
const AUTO_ORDER = ["onnx", "tensorflow", "cpu"] as const;

/**
 * The engine of that name, or with `auto` the first that this machine can run: ONNX Runtime, then TensorFlow, then plain JavaScript.
 * @throws TensorARError when the named engine can't be loaded, saying why
 */
export async function chooseEngine(name: EngineName, threads: number): Promise<Engine> {
  await import("@tensorflow/tfjs"); // registers every gradient and the cpu backend
  const missing: string[] = [];
  for (const candidate of name === "auto" ? AUTO_ORDER : [name]) {
    const { engine, reason } = await attempts[candidate](threads);
    if (engine) {
      console.error(`engine: ${engine.description}${missing.length ? ` (not available: ${missing.join("; ")})` : ""}`);
      return engine;
    }
    missing.push(reason ?? candidate);
  }
  throw new TensorARError(
    `engine "${name}" can't be used here: ${missing.join("; ")}; choose one of ${ENGINE_NAMES.join(", ")} with --engine`,
  );
}
