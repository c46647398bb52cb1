import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { mapLeaves, type Nested, TensorARError, type TensorData } from "@tensorar/core";
import { fileError } from "@tensorar/core/node";
import type { SessionSettings } from "@tensorar/manifest";
import {
  fromFloat16,
  ignoreUnread,
  openModel,
  type RuntimeOptions,
  toFloat16,
  withFloatActivations,
} from "@tensorar/onnx";
import type { NodeRuntime } from "@tensorar/onnx/node";

/** Inputs or outputs by name: one tensor, one for each layer, or several by name. */
export type Named<T> = Readonly<Record<string, Nested<T>>>;

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

export interface OpenOptions {
  readonly threads?: number;
  /** Inputs that are outputs too, and stay in the runtime from call to call. */
  readonly state?: readonly string[];
  /** Leaves the activations of products with weights of 4 and 8 bits in float32, which the file has rounded to 8 bits. */
  readonly floatActivations?: boolean;
}

/**
 * Opens a graph with the settings of `sessions`, if it has any for this file; its outputs are returned to the host whatever
 * they say.
 *
 * @throws TensorARError when ONNX Runtime refuses the file; calls throw it when the graph refuses its inputs
 */
export async function openGraph(
  dir: string,
  file: string,
  runtime: NodeRuntime,
  sessions: Readonly<Record<string, SessionSettings>>,
  options: OpenOptions = {},
): Promise<OpenGraph> {
  const path = join(dir, file);
  const refuse =
    (remedy: string) =>
    (cause: unknown): never => {
      throw new TensorARError(`${path}: ${(cause as Error).message}; ${remedy}`, { cause });
    };
  const refuseCall = refuse("export it again");
  const settings = await runtimeOptions(dir, sessions[file] ?? {}, options);
  const model = options.floatActivations ? withFloatActivations(await readBytes(path)) : path;
  const graph = ignoreUnread(
    await openModel(model, { runtime, ...settings }).catch(
      refuse("export it again, with a --target and --weights that this machine runs"),
    ),
  );
  const types = new Map(graph.inputs.map(({ name, dtype }) => [name.split("/")[0]!, dtype]));
  const narrowed = (inputs: Named<TensorData>): Named<TensorData> =>
    mapNamed(inputs, (value, name) =>
      types.get(name) === "float16" ? mapLeaves(value, isData, toFloat16Data) : value,
    );
  return {
    // Every graph of an export takes and returns a record.
    run: async (inputs) => {
      const outputs = await graph(narrowed(inputs)).catch(refuseCall);
      return mapNamed(outputs as Named<TensorData>, (value) => mapLeaves(value, isData, toFloat));
    },
    setState: (values) => graph.setState(narrowed(values)).catch(refuseCall),
    dispose: () => graph.dispose(),
  };
}

/** How a session is opened. */
async function runtimeOptions(
  dir: string,
  { executionProviders, keepOnDevice: _, ...session }: Partial<SessionSettings>,
  { threads, state = [], floatActivations = false }: OpenOptions,
) {
  return {
    ...(threads !== undefined && { threads }),
    ...(executionProviders && { providers: executionProviders as NonNullable<RuntimeOptions["providers"]> }),
    session: { ...session, ...(floatActivations && { externalData: await externalData(dir) }) },
    state,
  };
}

/** Files of weights, which a model that is given as bytes does not find by itself. */
async function externalData(dir: string): Promise<{ readonly path: string; readonly data: Uint8Array }[]> {
  const names = await readdir(dir).catch((cause) => {
    throw fileError("read the folder", dir, cause);
  });
  const files = names.filter((name) => /\.onnx\.data(_\d+)?$/.test(name));
  return Promise.all(files.map(async (path) => ({ path, data: await readBytes(join(dir, path)) })));
}

/** @throws TensorARError (`io`) when the file can't be read */
export const readBytes = (path: string): Promise<Uint8Array> =>
  readFile(path).catch((cause) => {
    throw fileError("read", path, cause);
  });

const isData = (value: unknown): value is TensorData => ArrayBuffer.isView(Object(value).data);

const mapNamed = <T>(named: Named<T>, change: (value: Nested<T>, name: string) => Nested<T>): Named<T> =>
  Object.fromEntries(Object.entries(named).map(([name, value]) => [name, change(value, name)]));

const toFloat16Data = ({ shape, data }: TensorData): TensorData => ({
  dtype: "float16",
  shape,
  data: toFloat16(data as Float32Array),
});

const toFloat = (tensor: TensorData): TensorData =>
  tensor.dtype === "float16"
    ? { dtype: "float32", shape: tensor.shape, data: fromFloat16(tensor.data as Uint16Array) }
    : tensor;
