import { availableParallelism } from "node:os";
import { join } from "node:path";
import { TensorARError } from "@tensorar/core";
import { loadOptional, type Places } from "@tensorar/core/node";
import { loadRuntime } from "@tensorar/onnx/node";
import * as tf from "@tensorflow/tfjs-core";
import { ENGINE_NAMES, type EngineName, TENSORFLOW_PACKAGES } from "../settings";
import { eagerEngine } from "./eager-engine";
import type { Engine } from "./engine";
import { onnxEngine } from "./onnx-engine";

/** Loading a package runs its code, so none is loaded from the current folder, which may be anyone's, unless it was asked for. */
const OWN: Places = [import.meta.url];
const OWN_AND_CURRENT: Places = [...OWN, join(process.cwd(), "package.json")];

const firstLine = (error: unknown): string => (error as Error).message.split("\n")[0]!;

interface Attempt {
  readonly engine?: Engine;
  readonly reason?: string;
}

async function tryOnnx(threads: number, places: Places): Promise<Attempt> {
  try {
    return { engine: onnxEngine(loadRuntime(places), threads) };
  } catch (error) {
    if (error instanceof TensorARError) return { reason: error.message };
    throw error;
  }
}

async function tryTensorflow(places: Places): Promise<Attempt> {
  const reasons: string[] = [];
  for (const name of TENSORFLOW_PACKAGES) {
    const loaded = loadOptional(name, places);
    const reason = "reason" in loaded ? loaded.reason : await whyTensorflowFails(name);
    if (reason === undefined) return { engine: eagerEngine(`tfjs tensorflow backend (${name})`) };
    reasons.push(reason);
  }
  const remedy = "run `npm install @tensorflow/tfjs-node` in this folder and choose --engine tensorflow";
  return { reason: `${reasons.join("; ")}; ${remedy}` };
}

/** Tries the backend that a package registered: tfjs-node 4.22 loads on Node 23 and newer, and fails at the first operation. */
async function whyTensorflowFails(name: string): Promise<string | undefined> {
  try {
    if (!(await tf.setBackend("tensorflow"))) return `${name} could not be initialised`;
    tf.tidy(() => tf.add(tf.scalar(1), tf.scalar(1)).dataSync());
    return undefined;
  } catch (error) {
    return `${name} does not work on Node ${process.versions.node}: ${firstLine(error)}`;
  }
}

async function tryBackend(name: "wasm" | "cpu"): Promise<Attempt> {
  if (name === "wasm") await import("@tensorflow/tfjs-backend-wasm");
  if (!(await tf.setBackend(name))) return { reason: `the tfjs backend ${name} could not be initialised` };
  return { engine: eagerEngine(`tfjs ${name} backend`) };
}

const attempts: Record<Exclude<EngineName, "auto">, (threads: number, places: Places) => Promise<Attempt>> = {
  onnx: tryOnnx,
  tensorflow: (_, places) => tryTensorflow(places),
  wasm: () => tryBackend("wasm"),
  cpu: () => tryBackend("cpu"),
};

// `wasm` lacks kernels that gradients need, so it is only used when asked for.
const AUTO_ORDER = ["onnx", "tensorflow", "cpu"] as const;

/** How an engine runs, and whom it tells. */
export interface EngineOptions {
  /** Of ONNX Runtime; default: one for each processor. */
  readonly threads?: number;
  /** Is told which engine it is, and why not another. */
  readonly note?: (line: string) => void;
}

/**
 * The engine of that name, or with `auto` the first that this machine can run: ONNX Runtime, then TensorFlow, then plain JavaScript.
 * Packages come from where this one is installed; those of a named engine may also be in the current folder's `node_modules`.
 *
 * @throws TensorARError when the named engine can't be loaded, saying why
 */
export async function chooseEngine(
  name: EngineName = "auto",
  { threads = availableParallelism(), note = () => {} }: EngineOptions = {},
): Promise<Engine> {
  await import("@tensorflow/tfjs"); // registers every gradient and the cpu backend
  tf.enableProdMode(); // only silences tfjs' advice to install another backend
  const missing: string[] = [];
  const places = name === "auto" ? OWN : OWN_AND_CURRENT;
  for (const candidate of name === "auto" ? AUTO_ORDER : [name]) {
    const { engine, reason } = await attempts[candidate](threads, places);
    if (engine) {
      note(`engine: ${engine.description}${missing.length ? ` (not available: ${missing.join("; ")})` : ""}`);
      return engine;
    }
    missing.push(reason ?? candidate);
  }
  throw new TensorARError(
    `engine "${name}" can't be used here: ${missing.join("; ")}; choose one of ${ENGINE_NAMES.join(", ")} with --engine`,
  );
}
