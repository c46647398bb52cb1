import { TensorARError } from "@tensorar/core";
import * as tf from "@tensorflow/tfjs-core";
import { at, callee } from "./callsite";
import { sameShape } from "./dims";
import { Builder, constant, type ElementType, fill, type TypedArray, type Value } from "./graph";

export const BACKEND_NAME = "onnx";

/** Turns a kernel call into nodes. Inputs and attributes are those tfjs passes; shapes are numbers while tracing. */
export type Lowering = (
  g: Builder,
  inputs: Readonly<Record<string, Value>>,
  // biome-ignore lint/suspicious/noExplicitAny: every kernel has its own attributes; tfjs-core types them as any nesting of values
  attributes: any,
) => Value | readonly Value[];

/** Ops that draw random numbers in JavaScript: tracing them would freeze one draw into the graph for ever. */
const RANDOM_OPS = /^(random\w*|truncatedNormal|rand|multinomial|dropout)__op$/;

/** Tensors captured by the traced function: names for those that have one, and what was read, by data id and type. */
export interface Weights {
  readonly names: ByData<{ readonly name: string; readonly shape: readonly number[] }>;
  readonly data: ByData<TypedArray>;
}

/** A value for each type of each data id: a cast that loses nothing gives a tensor of another type with the same data. */
export class ByData<T> {
  readonly #types = new Map<object, Map<string, T>>();
  get(dataId: object, dtype: string): T | undefined {
    return this.#types.get(dataId)?.get(dtype);
  }
  set(dataId: object, dtype: string, value: T): void {
    const types = this.#types.get(dataId) ?? new Map<string, T>();
    this.#types.set(dataId, types.set(dtype, value));
  }
}

/** One run of a function under the recording backend. */
export class Recording {
  readonly builder = new Builder();
  /** An error that tfjs could only report by a promise, too late for the trace. */
  failure: TensorARError | undefined;
  readonly #values = new WeakMap<object, Value>();
  readonly #captured = new ByData<Value>();
  #captures = 0;
  /** Everything made while recording, so that it can be disposed whatever happens. */
  readonly #tensors: tf.Tensor[] = [];

  constructor(
    private readonly backend: RecordingBackend,
    private readonly weights: Weights,
  ) {}

  /** A symbolic tensor that stands for `value`. */
  tensor(value: Value): tf.Tensor {
    const dataId = {};
    this.#values.set(dataId, value);
    const info = { dataId, shape: value.shape as number[], dtype: value.dtype as tf.DataType };
    const tensor = tf.engine().makeTensorFromTensorInfo(info, this.backend);
    this.#tensors.push(tensor);
    return tensor;
  }

  /** The value a tensor stands for. A tensor of another backend is captured: its values become a weight of the graph. */
  value({ dataId, shape, dtype }: tf.TensorInfo): Value {
    const known = this.#values.get(dataId);
    if (known) return known;
    const owner = tf.engine().state.tensorInfo.get(dataId)?.backend;
    if (!owner || owner === this.backend) {
      throw new TensorARError(
        `a disposed tensor, or one of an earlier trace, is used${at(new Error())}; tensors made while tracing end with the trace`,
      );
    }
    const whole = this.#captured.get(dataId, dtype) ?? this.#capture(dataId, shape, elementType(dtype));
    // One buffer can be seen with several shapes: reshaped tensors share it.
    return sameShape(whole.shape, shape) ? whole : this.builder.reshape(whole, shape);
  }

  #capture(dataId: object, shape: readonly number[], dtype: ElementType): Value {
    const named = this.weights.names.get(dataId, dtype);
    const data = this.weights.data.get(dataId, dtype) ?? ownArray(tf.engine().readSync(dataId), dtype);
    this.weights.data.set(dataId, dtype, data);
    const name = named?.name ?? `captured/${this.#captures}`;
    this.#captures++;
    const value: Value = { dtype, shape: named?.shape ?? shape, source: { kind: "weight", name, data } };
    this.#captured.set(dataId, dtype, value);
    return value;
  }

  run(kernel: string, lowering: Lowering, inputs: tf.NamedTensorInfoMap, attributes: unknown): tf.Tensor | tf.Tensor[] {
    const values: Record<string, Value> = {};
    for (const [key, info] of Object.entries(inputs)) if (info) values[key] = this.value(info);
    this.builder.origin = { kernel, stack: new Error(kernel) };
    const result = lowering(this.builder, values, attributes ?? {});
    return Array.isArray(result) ? result.map((value) => this.tensor(value)) : this.tensor(result as Value);
  }

  write(data: tf.BackendValues, shape: readonly number[], dtype: tf.DataType): object {
    const random = tf.engine().state.scopeStack.find((scope) => RANDOM_OPS.test(scope.name));
    if (random) throw randomError(random.name.replace("__op", ""));
    const dataId = {};
    const type = elementType(dtype);
    this.#values.set(dataId, literalValue(ownArray(data, type).slice(), shape, type));
    return dataId;
  }

  /** Disposes what is left: after an error also a variable that the function made of a tensor of this trace. */
  end(): void {
    for (const variable of Object.values(tf.engine().registeredVariables)) {
      if (this.#values.has(variable.dataId)) variable.dispose();
    }
    for (const tensor of this.#tensors) if (!tensor.isDisposed) tensor.dispose();
  }
}

/** The tfjs backend named "onnx": it computes nothing; while a recording is open its kernels append nodes. */
export class RecordingBackend extends tf.KernelBackend {
  recording: Recording | undefined;
  /** Tensors that share data with another, as variables do, by data id. */
  readonly #sharers = new Map<object, number>();

  active(): Recording {
    if (this.recording) return this.recording;
    throw new TensorARError(
      `the tfjs backend "${BACKEND_NAME}" only records; call trace() or compile(), and compute with another backend`,
    );
  }
  override write(values: tf.BackendValues, shape: number[], dtype: tf.DataType): object {
    return this.active().write(values, shape, dtype);
  }
  override readSync(): never {
    throw readError();
  }
  /** Fails the trace. The promise never settles: `trace` throws before anything could wait for it. */
  override read(): Promise<never> {
    this.active().failure ??= readError();
    return new Promise(() => {});
  }
  override readToGPU(): never {
    throw readError();
  }
  override incRef(dataId: object): never {
    this.#sharers.set(dataId, (this.#sharers.get(dataId) ?? 0) + 1);
    throw new TensorARError(
      `a traced function makes or assigns a tf.Variable${at(new Error())}; return the new value instead and assign it after the call`,
    );
  }
  override disposeData(dataId: object): boolean {
    const sharers = this.#sharers.get(dataId);
    if (sharers === undefined) return true;
    if (sharers > 1) this.#sharers.set(dataId, sharers - 1);
    else this.#sharers.delete(dataId);
    return false;
  }
  override refCount(): number {
    return 1;
  }
  override numDataIds(): number {
    return 0;
  }
  override memory() {
    return { unreliable: true, reasons: ["the recording backend holds no data"] };
  }
  override timerAvailable(): boolean {
    return false;
  }
  override floatPrecision(): 32 {
    return 32;
  }
  override epsilon(): number {
    return 1e-7;
  }
  override dispose(): void {}
}

export function randomError(op: string): TensorARError {
  return new TensorARError(
    `tf.${op} draws random numbers${at(new Error())}, which tracing would freeze into the graph; draw them outside and pass them in as an input`,
  );
}

function readError(): TensorARError {
  const error = new Error();
  return new TensorARError(
    `tensor values are read inside a traced function${by(callee(error))}${at(error)}; values are unknown while tracing: ` +
      "compute with tensor ops such as tf.where and tf.gather, or do this step outside the function",
  );
}

const by = (name: string): string => (name ? `, by ${name}()` : "");

export function elementType(dtype: tf.DataType): ElementType {
  if (dtype === "float32" || dtype === "int32" || dtype === "bool") return dtype;
  throw new TensorARError(`dtype "${dtype}" can't be traced${at(new Error())}; use float32, int32 or bool`);
}

/** `values` as an array of the type that holds `dtype`. */
function ownArray(values: tf.BackendValues, dtype: ElementType): TypedArray {
  const Type = dtype === "float32" ? Float32Array : dtype === "int32" ? Int32Array : Uint8Array;
  return values instanceof Type ? values : Type.from(values as ArrayLike<number>);
}

/** A constant; one whose elements are all equal stays a single number. */
function literalValue(data: TypedArray, shape: readonly number[], dtype: ElementType): Value {
  const first = data[0];
  if (first !== undefined && data.every((value) => Object.is(value, first))) return fill(dtype, shape, first);
  return constant(dtype, shape, { kind: "data", data });
}
