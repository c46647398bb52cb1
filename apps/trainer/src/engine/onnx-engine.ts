import { compile } from "@tensorar/onnx";
import * as tf from "@tensorflow/tfjs-core";
import type * as ort from "onnxruntime-node";
import type { Engine, Runnable } from "./engine";

/** Traces tensor functions to ONNX and runs them compiled. */
export function onnxEngine(runtime: typeof ort, threads: number): Engine {
  return {
    description: `ONNX Runtime ${runtime.env.versions.node ?? runtime.env.versions.common} (cpu, ${threads} threads)`,
    async prepare(fn, inputs, { state = [] } = {}) {
      await tf.ready();
      return (await compile(fn as never, inputs as never, { runtime, threads, state: [...state] })) as unknown as Runnable;
    },
  };
}
