import { compile } from "@tensorar/onnx";
import type { NodeRuntime } from "@tensorar/onnx/node";
import * as tf from "@tensorflow/tfjs-core";
import type { Engine } from "./engine";

/** Traces tensor functions to ONNX and runs them compiled. */
export function onnxEngine(runtime: NodeRuntime, threads: number): Engine {
  return {
    description: `ONNX Runtime ${runtime.env.versions.node ?? runtime.env.versions.common} (cpu, ${threads} threads)`,
    onnx: { runtime, threads },
    async prepare(fn, inputs, { state = [] } = {}) {
      await tf.ready();
      return compile(fn, inputs, { runtime, threads, state: [...state] });
    },
  };
}
