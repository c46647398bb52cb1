import { join } from "node:path";
import type { TensorData } from "@tensorar/checkpoint";
import { openModel } from "@tensorar/onnx";
import type * as ort from "onnxruntime-node";
import { TensorARError } from "./errors";
import type { Named } from "./functions";
import type { SessionSettings } from "./targets";

/** One graph of an export, open on ONNX Runtime. Inputs that its function has and its file does not need are left out. */
export interface OpenGraph {
  run(inputs: Named<TensorData>): Promise<Named<TensorData>>;
  dispose(): Promise<void>;
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
  runtime: typeof ort,
  sessions: Readonly<Record<string, SessionSettings>>,
  threads?: number,
): Promise<OpenGraph> {
  const path = join(dir, file);
  const refuse = (cause: unknown): never => {
    throw new TensorARError(`${path}: ${(cause as Error).message}; export it again`, { cause });
  };
  const { executionProviders, keepOnDevice: _, ...session } = sessions[file] ?? {};
  const options = {
    ...(threads !== undefined && { threads }),
    ...(executionProviders && { providers: executionProviders as ort.InferenceSession.ExecutionProviderConfig[] }),
    session,
  };
  const graph = await openModel(path, { runtime, ...options }).catch(refuse);
  const names = new Set(graph.inputs.map(({ name }) => name.split("/")[0]!));
  const taken = (inputs: Named<TensorData>) =>
    Object.fromEntries(Object.entries(inputs).filter(([name]) => names.has(name)));
  return {
    // Every graph of an export takes and returns a record, one level deep or two.
    run: async (inputs) => (await graph(taken(inputs)).catch(refuse)) as Named<TensorData>,
    dispose: () => graph.dispose(),
  };
}
