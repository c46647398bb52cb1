import { flatten, mapNested, type Nested, TensorARError, type TensorSpec } from "@tensorar/core";
import type { Spec } from "@tensorar/program";
import * as tf from "@tensorflow/tfjs-core";
import { BACKEND_NAME, Recording, RecordingBackend, type Weights } from "./backend";
import { at, callee, isThrownInside, withDeepStacks } from "./callsite";
import type { Graph, Value } from "./graph";
import { KERNELS } from "./kernels";
import { isSpec, isTensor, multipleOf } from "./specs";

/** The backend, registered with its kernels at the first trace. Its priority keeps tfjs from ever choosing it by itself. */
function recordingBackend(): RecordingBackend {
  const engine = tf.engine();
  const existing = engine.registry[BACKEND_NAME];
  if (existing instanceof RecordingBackend) return existing;
  const backend = new RecordingBackend();
  tf.registerBackend(BACKEND_NAME, () => backend, -1000);
  for (const [kernelName, lowering] of Object.entries(KERNELS)) {
    const kernelFunc: tf.KernelFunc = ({ inputs, attrs }) => backend.active().run(kernelName, lowering, inputs, attrs);
    tf.registerKernel({ kernelName, backendName: BACKEND_NAME, kernelFunc });
  }
  return backend;
}

/** Runs `body` with the recording backend, then puts the previous backend back, whatever happens. */
function withRecording<T>(weights: Weights, body: (recording: Recording) => T): T {
  const previous = tf.getBackend();
  const backend = recordingBackend();
  if (backend.recording)
    throw new TensorARError("trace() is called inside a traced function; call the inner function directly");
  const recording = new Recording(backend, weights);
  backend.recording = recording;
  // With a backend that is ready, setBackend does its work before it returns its promise.
  void tf.setBackend(BACKEND_NAME);
  try {
    return withDeepStacks(() => body(recording));
  } catch (error) {
    throw explain(error);
  } finally {
    recording.end();
    backend.recording = undefined;
    void tf.setBackend(previous);
  }
}

/** What tfjs and the kernels throw, with the op and the line that called it; a missing kernel with what to do instead. */
function explain(error: unknown): unknown {
  if (!(error instanceof Error) || error instanceof TensorARError) return error;
  const kernel = /Kernel '(\w+)' not registered for backend 'onnx'/.exec(error.message)?.[1];
  if (kernel) {
    const remedy =
      kernel === "Multinomial"
        ? "it draws random numbers, which tracing would freeze into the graph: draw them outside and pass them in as an input"
        : "write this step with other ops, or leave it outside the traced function";
    return new TensorARError(`the tfjs kernel "${kernel}" can't be traced to ONNX${at(error)}; ${remedy}`, {
      cause: error,
    });
  }
  if (!isThrownInside(error)) return error;
  const op = callee(error).replace(/__op$/, "");
  return new TensorARError(`${op && !error.message.includes(op) ? `${op}: ` : ""}${error.message}${at(error)}`, {
    cause: error,
  });
}

function sizeIn(sizeOf: ReadonlyMap<string, number>, dim: string): number {
  const { factor, name } = multipleOf(dim);
  return factor * sizeOf.get(name)!;
}

/** Runs `fn` once on symbolic tensors, with `sizeOf` giving every symbolic dimension a size, and returns what it did. */
export function record(
  fn: (inputs: never) => unknown,
  specs: Nested<Spec>,
  entries: readonly (readonly [string, TensorSpec])[],
  sizeOf: ReadonlyMap<string, number>,
  weights: Weights,
): Graph {
  return withRecording(weights, (recording) => {
    const inputs = new Map(
      entries.map(([name, { dtype, shape }]): [string, Value] => [
        name,
        {
          dtype,
          shape: shape.map((dim) => (typeof dim === "number" ? dim : sizeIn(sizeOf, dim))),
          source: { kind: "input", name },
        },
      ]),
    );
    let outputs: Graph["outputs"] = [];
    tf.tidy(() => {
      const tensors = mapNested(specs, isSpec, "input", (_, name) => recording.tensor(inputs.get(name)!));
      const result = fn(tensors as never);
      if (result instanceof Promise) result.catch(() => undefined); // the errors below are those to report
      if (recording.failure) throw recording.failure;
      if (result instanceof Promise) {
        throw new TensorARError("the traced function is async; trace a function that returns its tensors at once");
      }
      outputs = flatten(result as Nested<tf.Tensor>, isTensor, "output").map(([name, tensor]) => ({
        name,
        value: recording.value(tensor),
      }));
    });
    return { dimensions: [], inputs: [...inputs.values()], nodes: recording.builder.nodes, outputs };
  });
}
