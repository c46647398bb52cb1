import { join } from "node:path";
import type { TensorData } from "@tensorar/checkpoint";
import { TensorARError } from "@tensorar/core";
import type { SessionSettings } from "@tensorar/manifest";
import { fromFloat16, openModel, type RuntimeOptions, toFloat16 } from "@tensorar/onnx";
import type { NodeRuntime } from "@tensorar/onnx/node";
import type { Named } from "./functions";

/**
 * One graph of an export, open on ONNX Runtime. Inputs that its function has and its file does not need are left out. Halves
 * are float32 on this side.
 */
export interface OpenGraph {
  run(inputs: Named<TensorData>): Promise<Named<TensorData>>;
  /** First values of the inputs that are its state. */
  setState(state: Named<TensorData>): Promise<void>;
  dispose(): Promise<void>;
}

/**
 * Opens a graph with the settings of `sessions`, if it has any for this file; its outputs are returned to the host whatever
 * they say.
 *
 * @param options.state inputs that are outputs too, and stay in the runtime from call to call
 * @throws TensorARError when ONNX Runtime refuses the file; calls throw it when the graph refuses its inputs
 */
export async function openGraph(
  dir: string,
  file: string,
  runtime: NodeRuntime,
  sessions: Readonly<Record<string, SessionSettings>>,
  { threads, state = [] }: { readonly threads?: number; readonly state?: readonly string[] } = {},
): Promise<OpenGraph> {
  const path = join(dir, file);
  const refuse =
    (remedy: string) =>
    (cause: unknown): never => {
      throw new TensorARError(`${path}: ${(cause as Error).message}; ${remedy}`, { cause });
    };
  const refuseCall = refuse("export it again");
  const { executionProviders, keepOnDevice: _, ...session } = sessions[file] ?? {};
  const options = {
    ...(threads !== undefined && { threads }),
    ...(executionProviders && { providers: executionProviders as NonNullable<RuntimeOptions["providers"]> }),
    ...{ session, state },
  };
  const graph = await openModel(path, { runtime, ...options }).catch(
    refuse("export it again, with a --target and --weights that this machine runs"),
  );
  const types = new Map(graph.inputs.map(({ name, dtype }) => [name.split("/")[0]!, dtype]));
  const taken = (inputs: Named<TensorData>) =>
    Object.fromEntries(
      Object.entries(inputs)
        .filter(([name]) => types.has(name))
        .map(([name, value]) => [name, types.get(name) === "float16" ? mapTensors(value, narrowed) : value]),
    );
  return {
    // Every graph of an export takes and returns a record, one level deep or two.
    run: async (inputs) => {
      const outputs = (await graph(taken(inputs) as never).catch(refuseCall)) as Named<TensorData>;
      return Object.fromEntries(Object.entries(outputs).map(([name, value]) => [name, mapTensors(value, widened)]));
    },
    setState: (values) => graph.setState(taken(values)).catch(refuseCall),
    dispose: () => graph.dispose(),
  };
}

type Tensors = Named<TensorData>[string];

/** What `change` makes of each tensor of an input or output. */
function mapTensors(value: Tensors, change: (tensor: TensorData) => TensorData): Tensors {
  if (Array.isArray(value)) return value.map(change);
  if ("data" in value) return change(value as TensorData);
  return Object.fromEntries(Object.entries(value).map(([name, each]) => [name, change(each as TensorData)]));
}

const narrowed = ({ shape, data }: TensorData): TensorData => ({
  ...{ dtype: "float16", shape, data: toFloat16(data as Float32Array) },
});

const widened = (tensor: TensorData): TensorData =>
  tensor.dtype === "float16"
    ? { dtype: "float32", shape: tensor.shape, data: fromFloat16(tensor.data as Uint16Array) }
    : tensor;
