import { type Nested, TensorARError, type TensorData } from "@tensorar/core";
import type { Env, InferenceSession, TensorConstructor } from "onnxruntime-common";
import { makeCells } from "./cells";
import { Executor } from "./executor";
import { identityModel } from "./identity";
import { outputPaths, type Port, type Signature } from "./model";
import type { Feed } from "./tensordata";

/** The namespace object of `onnxruntime-node` or `onnxruntime-web`. */
export interface Runtime {
  readonly InferenceSession: {
    create(model: Uint8Array | string, options?: InferenceSession.SessionOptions): Promise<InferenceSession>;
  };
  readonly Tensor: TensorConstructor;
  readonly env: Env;
}

/** What runs a model, and how. */
export interface RuntimeOptions<K extends string = string> {
  readonly runtime: Runtime;
  /** Execution providers in order of preference, such as `["webgpu", "cpu"]`. Default: the runtime's. */
  readonly providers?: readonly (InferenceSession.ExecutionProviderConfig | string)[] | undefined;
  /** Threads for one operator. Default: the runtime's, usually all cores. */
  readonly threads?: number | undefined;
  /** Further options of the runtime's session, by its own names. */
  readonly session?:
    | Omit<InferenceSession.SessionOptions, "executionProviders" | "intraOpNumThreads" | "preferredOutputLocation">
    | undefined;
  /** Top-level keys that are both inputs and outputs: their tensors stay in the runtime from call to call. */
  readonly state?: readonly K[] | undefined;
}

/** A function that runs on ONNX Runtime. Calls are queued: one runs at a time. */
export interface CompiledFunction<
  I = Nested<Feed>,
  O = Nested<TensorData>,
  S = Readonly<Record<string, Nested<Feed>>>,
  R = Readonly<Record<string, Nested<TensorData>>>,
> {
  (inputs: I): Promise<O>;
  /** Gives the state keys their tensors; needed before the first call. The arrays are copied. */
  setState(state: S): Promise<void>;
  /** Copies of the current state. */
  getState(): Promise<R>;
  readonly inputs: readonly Port[];
  readonly outputs: readonly Port[];
  /** Frees the runtime's memory; calls after it fail. */
  dispose(): Promise<void>;
}

/**
 * Opens an ONNX file, by path (in a browser: URL) or as bytes. Inputs and outputs are nested by splitting their names at
 * "/"; keys that count 0, 1, 2, … make an array.
 *
 * What a file takes and returns is known when it is open, and every call is checked against it. For TypeScript, say it by
 * `openModel<Inputs, Outputs>`; without, inputs and outputs are any nesting of tensors.
 *
 * @throws TensorARError when the runtime can't open it, or a key of `state` is not both input and output
 */
export async function openModel<I = Nested<Feed>, O = Nested<TensorData>>(
  model: Uint8Array | string,
  options: RuntimeOptions,
): Promise<CompiledFunction<I, O>> {
  return (await createSession(model, undefined, options)) as CompiledFunction<unknown, unknown> as CompiledFunction<
    I,
    O
  >;
}

const HOST_PROVIDERS = new Set(["cpu", "wasm"]);

/** Opens a model. Without a signature, key paths are read from the names in the file. */
export async function createSession(
  model: Uint8Array | string,
  known: Signature | undefined,
  options: RuntimeOptions,
): Promise<CompiledFunction> {
  const { runtime, providers, state = [] } = options ?? {};
  if (typeof runtime?.InferenceSession?.create !== "function") {
    throw new TensorARError(
      'option "runtime" is not ONNX Runtime; pass the namespace: `import * as ort from "onnxruntime-node"`',
    );
  }
  const onGpu = providerName(providers?.[0]) === "webgpu";
  const probe = known ? undefined : await openSession(model, options, []);
  const signature = known ?? readSignature(probe!);
  const cells = makeCells(signature, state);
  const stay = onGpu ? cells.map(({ output }) => output) : [];
  if (stay.length > 0) await probe?.release();
  const session = probe && stay.length === 0 ? probe : await openSession(model, options, stay);
  const download = onGpu ? () => openSession(identityModel(cells.map(({ input }) => input)), options, []) : undefined;
  // onnxruntime-node writes into preallocated outputs; onnxruntime-web copies.
  const reuse = HOST_PROVIDERS.has(providerName(providers?.[0])) && "node" in (runtime.env?.versions ?? {});
  return new Executor(runtime, session, signature, cells, reuse, download).function();
}

/** A session whose outputs in `stay` are left on the GPU. */
async function openSession(
  model: Uint8Array | string,
  { runtime, providers, threads, session }: RuntimeOptions,
  stay: readonly string[],
): Promise<InferenceSession> {
  try {
    return await runtime.InferenceSession.create(model, {
      logSeverityLevel: 3,
      ...session,
      ...(providers && { executionProviders: providers }),
      ...(threads !== undefined && { intraOpNumThreads: threads }),
      ...(stay.length > 0 && {
        preferredOutputLocation: Object.fromEntries(stay.map((name) => [name, "gpu-buffer" as const])),
      }),
    });
  } catch (cause) {
    const asked = providers?.map(providerName).join(", ") ?? "the default provider";
    throw new TensorARError(`ONNX Runtime can't open the model on ${asked}: ${(cause as Error).message}`, { cause });
  }
}

function readSignature({ inputMetadata, outputMetadata }: InferenceSession): Signature {
  const port = (value: InferenceSession.ValueMetadata): Port => {
    if (!value.isTensor)
      throw new TensorARError(`"${value.name}" of the model is no tensor; only tensors can be passed`);
    return { name: value.name, dtype: value.type as Port["dtype"], shape: value.shape };
  };
  const [inputs, outputs] = [inputMetadata.map(port), outputMetadata.map(port)];
  return {
    inputs,
    outputs,
    paths: outputPaths(
      inputs.map(({ name }) => name),
      outputs.map(({ name }) => name),
    ),
  };
}

function providerName(provider: InferenceSession.ExecutionProviderConfig | string | undefined): string {
  return typeof provider === "object" ? provider.name : (provider ?? "cpu");
}
