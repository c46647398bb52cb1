import { TensorARError } from "@tensorar/core";
import * as tf from "@tensorflow/tfjs-core";
import type { Env, InferenceSession, Tensor, TensorConstructor } from "onnxruntime-common";
import type { Value } from "./graph";
import { outputPaths, type Port } from "./model";
import { flatten, mapLeaves, type Nested, unflatten, visitTogether } from "./nested";
import { serializeModel } from "./serialize";
import { checkFeed, type Feed, fromRuntime, hostTensor, isFeed, type TensorData } from "./tensordata";

/** The namespace object of `onnxruntime-node` or `onnxruntime-web`. */
export interface Runtime {
  readonly InferenceSession: {
    create(model: Uint8Array | string, options?: InferenceSession.SessionOptions): Promise<InferenceSession>;
  };
  readonly Tensor: TensorConstructor;
  readonly env: Env;
}

export interface RuntimeOptions<K extends string = string> {
  readonly runtime: Runtime;
  /** Execution providers in order of preference, such as `["webgpu", "cpu"]`. Default: the runtime's. */
  readonly providers?: readonly (InferenceSession.ExecutionProviderConfig | string)[];
  /** Threads for one operator. Default: the runtime's, usually all cores. */
  readonly threads?: number;
  /** Further options of the runtime's session, by its own names. */
  readonly session?: Omit<
    InferenceSession.SessionOptions,
    "executionProviders" | "intraOpNumThreads" | "preferredOutputLocation"
  >;
  /** Top-level keys that are both inputs and outputs: their tensors stay in the runtime from call to call. */
  readonly state?: readonly K[];
}

/** A function that runs on ONNX Runtime. Calls are queued: one runs at a time. */
export interface CompiledFunction<
  I = Nested<Feed>,
  O = Nested<TensorData>,
  S = Readonly<Record<string, Nested<Feed>>>,
> {
  (inputs: I): Promise<O>;
  /** Gives the state keys their tensors; needed before the first call. The arrays are copied. */
  setState(state: S): Promise<void>;
  /** Copies of the current state. */
  getState(): Promise<Readonly<Record<string, Nested<TensorData>>>>;
  readonly inputs: readonly Port[];
  readonly outputs: readonly Port[];
  /** Frees the runtime's memory; calls after it fail. */
  dispose(): Promise<void>;
}

/** How the names of a model map to the key paths of a function's inputs and outputs. */
export interface Signature {
  readonly inputs: readonly Port[];
  readonly outputs: readonly Port[];
  /** Key path of each output. */
  readonly paths: readonly string[];
}

/** One state tensor: the input it feeds, the output that replaces it, the current value and a buffer for the next. */
interface Cell {
  readonly input: Port;
  readonly output: string;
  current: Tensor | undefined;
  spare: Tensor | undefined;
}

const HOST_PROVIDERS = new Set(["cpu", "wasm"]);

/** Opens a model. Without a signature, key paths are read from the names in the file. */
export async function createSession(
  model: Uint8Array | string,
  known: Signature | undefined,
  options: RuntimeOptions,
): Promise<CompiledFunction> {
  const { runtime, providers, state = [] } = options;
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
  const reuse = HOST_PROVIDERS.has(providerName(providers?.[0])) && "node" in (runtime.env.versions ?? {});
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

function makeCells({ inputs, outputs, paths }: Signature, state: readonly string[]): Cell[] {
  const below = (key: string, path: string): boolean => path === key || path.startsWith(`${key}/`);
  const cells = state.flatMap((key) => {
    const found = inputs.filter(({ name }) => below(key, name));
    if (found.length === 0)
      throw new TensorARError(`state key "${key}" is no input; inputs are ${topKeys(inputs.map(({ name }) => name))}`);
    return found.map((input) => {
      const index = paths.indexOf(input.name);
      if (index < 0)
        throw new TensorARError(
          `state "${input.name}" is an input but no output; return its next value under the same key`,
        );
      return { input, output: outputs[index]!.name, current: undefined, spare: undefined };
    });
  });
  const fed = new Set(cells.map(({ input }) => input.name));
  const lost = paths.find((path) => state.some((key) => below(key, path)) && !fed.has(path));
  if (lost !== undefined)
    throw new TensorARError(`state "${lost}" is an output but no input; take its previous value under the same key`);
  return cells;
}

const givenKeys = (inputs: Nested<Feed>): string =>
  topKeys(flatten(inputs, isFeed, "input").map(([name]) => name)) || "nothing";

const isName = (value: unknown): value is string => typeof value === "string";

const isPort = (value: unknown): value is Port => typeof (value as Port).name === "string";

/** Ports by the key paths that their names are. */
const nestPorts = (ports: readonly Port[]): Nested<Port> =>
  unflatten(
    ports.map((port) => [port.name, port] as const),
    "",
  );

const topKeys = (names: readonly string[]): string =>
  [...new Set(names.map((name) => `"${name.split("/")[0]}"`))].join(", ");

/** Copies its inputs to its outputs: the safe way to read tensors that live on a GPU. */
function identityModel(ports: readonly Port[]): Uint8Array {
  const values = ports.map(({ name, dtype }): Value => ({ dtype, shape: [], source: { kind: "input", name } }));
  return serializeModel({
    name: "identity",
    inputs: ports,
    outputs: ports.map((port, i) => ({ ...port, name: `${i}.read` })),
    graph: {
      dimensions: [],
      inputs: values,
      nodes: [],
      outputs: values.map((value, i) => ({ name: `${i}.read`, value })),
    },
  });
}

class Executor {
  #queue: Promise<unknown> = Promise.resolve();
  #reader: InferenceSession | undefined;
  #disposed = false;
  readonly #stateOutputs: ReadonlySet<string>;
  readonly #callInputs: Nested<Port>;
  readonly #stateInputs: Nested<Port>;
  /** Names of the outputs that a call returns, nested as it returns them. */
  readonly #results: Nested<string>;

  constructor(
    private readonly runtime: Runtime,
    private readonly session: InferenceSession,
    private readonly signature: Signature,
    private readonly cells: readonly Cell[],
    private readonly reuse: boolean,
    private readonly download: (() => Promise<InferenceSession>) | undefined,
  ) {
    this.#stateOutputs = new Set(cells.map(({ output }) => output));
    const state = new Set(cells.map(({ input }) => input.name));
    this.#callInputs = nestPorts(signature.inputs.filter(({ name }) => !state.has(name)));
    this.#stateInputs = nestPorts(cells.map(({ input }) => input));
    const returned = signature.outputs.flatMap(({ name }, i) =>
      this.#stateOutputs.has(name) ? [] : [[signature.paths[i]!, name] as const],
    );
    this.#results = unflatten(returned, "output");
  }

  function(): CompiledFunction {
    const call = (inputs: Nested<Feed>) => this.#enqueue(() => this.#call(inputs));
    return Object.assign(call, {
      setState: (state: Nested<Feed>) => this.#enqueue(() => this.#setState(state)),
      getState: () => this.#enqueue(() => this.#getState()),
      inputs: this.signature.inputs,
      outputs: this.signature.outputs,
      dispose: () => this.#dispose(),
    });
  }

  #enqueue<T>(job: () => Promise<T>): Promise<T> {
    const run = async (): Promise<T> => {
      if (this.#disposed) throw new TensorARError("the compiled function is disposed; compile it again");
      return job();
    };
    const result = this.#queue.then(run, run);
    this.#queue = result.catch(() => undefined); // the caller gets the error; the next call runs all the same
    return result;
  }

  async #call(inputs: Nested<Feed>): Promise<Nested<TensorData>> {
    const feeds = await this.#feeds(inputs, this.#callInputs);
    for (const { input, current } of this.cells) {
      if (!current)
        throw new TensorARError(`state "${input.name}" has no value; call setState() before the first call`);
      feeds[input.name] = current;
    }
    const results = await this.session.run(feeds, this.#fetches());
    this.#advance(results);
    return mapLeaves(this.#results, isName, (name) => fromRuntime(results[name] as Tensor));
  }

  /** Runtime tensors for exactly these ports, checked. */
  async #feeds(inputs: Nested<Feed>, ports: Nested<Port>): Promise<Record<string, Tensor>> {
    const feeds: Record<string, Tensor> = {};
    const onBackend: { readonly port: Port; readonly tensor: tf.Tensor }[] = [];
    const given = isFeed(inputs) ? { input: inputs } : inputs;
    const nothingElse = visitTogether(ports, given, isPort, (port, feed) => {
      if (!isFeed(feed))
        throw new TensorARError(`input "${port.name}" is missing; the call gives ${givenKeys(inputs)}`);
      if (feed instanceof tf.Tensor) onBackend.push({ port, tensor: feed });
      else feeds[port.name] = this.#wrap(port, feed);
    });
    for (const { port, tensor } of onBackend) feeds[port.name] = this.#wrap(port, await hostTensor(tensor));
    if (!nothingElse) {
      const unknown = flatten(inputs, isFeed, "input").find(([name]) => !(name in feeds));
      if (unknown)
        throw new TensorARError(`"${unknown[0]}" is no input of this call; inputs are ${topKeys(Object.keys(feeds))}`);
    }
    return feeds;
  }

  #wrap(port: Port, { dtype, shape, data }: TensorData): Tensor {
    checkFeed(port, { dtype, shape, data });
    return new this.runtime.Tensor(dtype as "float32", data as Float32Array, shape);
  }

  /** All outputs; those that replace state are written into the buffers of the state before last. */
  #fetches(): Record<string, Tensor | null> {
    const fetches: Record<string, Tensor | null> = {};
    for (const { name } of this.signature.outputs) fetches[name] = null;
    for (const { output, spare } of this.cells) if (spare) fetches[output] = spare;
    return fetches;
  }

  #advance(results: InferenceSession.OnnxValueMapType): void {
    for (const cell of this.cells) {
      const next = cell.spare ?? (results[cell.output] as Tensor);
      const previous = cell.current;
      cell.current = next;
      if (this.reuse) cell.spare = previous;
      else if (previous && previous.location !== "cpu") previous.dispose();
    }
  }

  async #setState(state: Nested<Feed>): Promise<void> {
    const feeds = await this.#feeds(state, this.#stateInputs);
    for (const cell of this.cells) {
      const { type, data, dims } = feeds[cell.input.name]!;
      const copy = () => new this.runtime.Tensor(type as "float32", (data as Float32Array).slice(), dims);
      if (cell.current && cell.current.location !== "cpu") cell.current.dispose();
      cell.current = copy();
      cell.spare = this.reuse ? copy() : undefined;
    }
  }

  async #getState(): Promise<Readonly<Record<string, Nested<TensorData>>>> {
    const tensors = await this.#readState();
    const entries = this.cells.map(({ input }, i): [string, TensorData] => {
      const { dtype, shape, data } = fromRuntime(tensors[i]!);
      return [input.name, { dtype, shape, data: data.slice() }];
    });
    return unflatten(entries, "") as Readonly<Record<string, Nested<TensorData>>>;
  }

  async #readState(): Promise<readonly Tensor[]> {
    const current = this.cells.map(({ input, current: tensor }) => {
      if (!tensor) throw new TensorARError(`state "${input.name}" has no value; call setState() first`);
      return tensor;
    });
    if (!this.download || current.every(({ location }) => location === "cpu")) return current;
    this.#reader ??= await this.download();
    const results = await this.#reader.run(
      Object.fromEntries(current.map((tensor, i) => [this.cells[i]!.input.name, tensor])),
    );
    return current.map((_, i) => results[`${i}.read`] as Tensor);
  }

  async #dispose(): Promise<void> {
    await this.#queue;
    if (this.#disposed) return;
    this.#disposed = true;
    for (const { current } of this.cells) if (current && current.location !== "cpu") current.dispose();
    await this.#reader?.release();
    await this.session.release();
  }
}
