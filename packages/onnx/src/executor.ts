import {
  flatten,
  mapLeaves,
  type Nested,
  TensorARError,
  type TensorData,
  unflatten,
  visitTogether,
} from "@tensorar/core";
import type { InferenceSession, Tensor } from "onnxruntime-common";
import { type Cell, topKeys } from "./cells";
import type { Port, Signature } from "./model";
import type { CompiledFunction, Runtime } from "./session";
import {
  type BackendTensor,
  checkedFeed,
  type Feed,
  fromRuntime,
  hostTensor,
  isBackendTensor,
  isFeed,
} from "./tensordata";

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

/** Runs a session call after call, and keeps its state. */
export class Executor {
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
    const results = await this.session.run(feeds, this.#fetches()).catch((cause: Error) => {
      throw new TensorARError(`ONNX Runtime can't run this call: ${cause.message}`, { cause });
    });
    this.#advance(results);
    return mapLeaves(this.#results, isName, (name) => fromRuntime(results[name] as Tensor));
  }

  /** Runtime tensors for exactly these ports, checked. */
  async #feeds(inputs: Nested<Feed>, ports: Nested<Port>): Promise<Record<string, Tensor>> {
    const feeds: Record<string, Tensor> = {};
    const onBackend: { readonly port: Port; readonly tensor: BackendTensor }[] = [];
    const given = isFeed(inputs) ? { input: inputs } : inputs;
    const nothingElse = visitTogether(ports, given, isPort, (port, feed) => {
      if (!isFeed(feed))
        throw new TensorARError(`input "${port.name}" is missing; the call gives ${givenKeys(inputs)}`);
      if (isBackendTensor(feed)) onBackend.push({ port, tensor: feed });
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

  #wrap(port: Port, feed: TensorData): Tensor {
    const { dtype, shape, data } = checkedFeed(port, feed);
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
