import { compile } from "@tensorar/onnx";
import type { NodeRuntime } from "@tensorar/onnx/node";
import * as tf from "@tensorflow/tfjs-core";
import type { Engine, Runnable, TensorFunction } from "./engine";

/** Traces tensor functions to ONNX and runs them compiled. */
export function onnxEngine(runtime: NodeRuntime, threads: number): Engine {
  return {
    description: `ONNX Runtime ${runtime.env.versions.node ?? runtime.env.versions.common} (cpu, ${threads} threads)`,
    async prepare(fn, inputs, { state = [] } = {}) {
      await tf.ready();
      // The engine's types are dynamic on purpose; inferring compile's would nest without end.
      const prepare = compile as unknown as (fn: TensorFunction, inputs: unknown, options: object) => Promise<Runnable>;
      return prepare(fn, inputs, { runtime, threads, state: [...state] });
    },
  };
}
