import { TensorARError } from "@tensorar/core";

/** Tensors of ONNX Runtime, as far as they are used here. */
export interface RuntimeTensor {
  readonly type: string;
  readonly dims: readonly number[];
  readonly data: unknown;
}

export interface RuntimeValue {
  readonly name: string;
  readonly isTensor: boolean;
  readonly type?: unknown;
  /** A string or a negative number stands for any size. */
  readonly shape?: readonly (number | string)[];
}

export interface RuntimeSession {
  readonly inputMetadata: readonly RuntimeValue[];
  readonly outputMetadata: readonly RuntimeValue[];
  // Methods, so that the runtime's own narrower types fit.
  run(feeds: Record<string, unknown>, fetches: readonly string[]): Promise<Record<string, unknown>>;
  release(): Promise<void>;
}

/** The namespace of `onnxruntime-node` or `onnxruntime-web`, as far as it is used here. */
export interface OnnxRuntime {
  readonly InferenceSession: {
    create(model: string | Uint8Array, options?: object): Promise<unknown>;
  };
  readonly Tensor: new (type: never, data: never, dims: readonly number[]) => unknown;
}

/** What every network that a user brings has. */
export interface SessionOptions {
  readonly runtime: OnnxRuntime;
  /** An ONNX file, by path (Node) or as bytes. */
  readonly model: string | Uint8Array;
  /** Execution providers in order of preference. Default: the runtime's. */
  readonly providers?: readonly string[];
  readonly threads?: number;
}

/** Opens an ONNX file. @param where the function that was called @throws TensorARError when ONNX Runtime can't */
export async function openSession(
  where: string,
  { runtime, model, providers, threads }: SessionOptions,
): Promise<RuntimeSession> {
  if (typeof runtime?.InferenceSession?.create !== "function") {
    const remedy = 'pass the namespace: `import * as ort from "onnxruntime-node"`';
    throw new TensorARError(`${where}: option "runtime" is not ONNX Runtime; ${remedy}`);
  }
  const settings = {
    ...(providers && { executionProviders: providers }),
    ...(threads !== undefined && { intraOpNumThreads: threads }),
    logSeverityLevel: 3,
  };
  try {
    return (await runtime.InferenceSession.create(model, settings)) as RuntimeSession;
  } catch (cause) {
    const what = typeof model === "string" ? model : "the model";
    throw new TensorARError(`${where}: ONNX Runtime can't open ${what}: ${(cause as Error).message}`, { cause });
  }
}

/** Runs `use` on a session that was just opened, and closes it if that fails. */
export async function orRelease<T>(session: RuntimeSession, use: () => T): Promise<T> {
  try {
    return use();
  } catch (error) {
    await session.release();
    throw error;
  }
}

export const listed = (values: readonly RuntimeValue[]): string => values.map(({ name }) => `"${name}"`).join(", ");

/** Whether a size is left to each run. */
export const isOpen = (size: number | string | undefined): boolean => typeof size !== "number" || size < 0;

/** The description of an output. @throws TensorARError where the model has none of that name */
export function findOutput(where: string, { outputMetadata }: RuntimeSession, output: string): RuntimeValue {
  const found = outputMetadata.find(({ name }) => name === output);
  if (found) return found;
  throw new TensorARError(`${where}: the model has no output "${output}"; it has ${listed(outputMetadata)}`);
}

/** The one input besides those that are known. */
export function findInput(
  where: string,
  { inputMetadata }: RuntimeSession,
  name: string | undefined,
  known: readonly string[],
  remedy: string,
): RuntimeValue {
  for (const each of known)
    if (!inputMetadata.some((input) => input.name === each))
      throw new TensorARError(`${where}: the model has no input "${each}"; it has ${listed(inputMetadata)}`);
  const rest = inputMetadata.filter((input) => !known.includes(input.name));
  if (rest.length !== 1)
    throw new TensorARError(
      `${where}: the model has the inputs ${listed(rest)}; only one of these can be fed; ${remedy}`,
    );
  const [only] = rest as [RuntimeValue];
  if (name === undefined || name === only.name) return only;
  throw new TensorARError(`${where}: the model has no input "${name}"; its input is "${only.name}"`);
}

/** A tensor of the runtime. */
export const runtimeTensor = (
  { Tensor }: OnnxRuntime,
  type: string,
  data: ArrayBufferView,
  dims: readonly number[],
): unknown => new Tensor(type as never, data as never, dims);

/** A tensor of integers of an input's own type. @throws TensorARError for other types */
export function integerTensor(
  where: string,
  runtime: OnnxRuntime,
  { name, type }: RuntimeValue,
  values: ArrayLike<number>,
  dims: readonly number[],
): unknown {
  const make = (data: ArrayBufferView) => runtimeTensor(runtime, String(type), data, dims);
  if (type === "int64") return make(BigInt64Array.from(values as number[], BigInt));
  if (type === "int32") return make(Int32Array.from(values));
  if (type === "bool") return make(Uint8Array.from(values));
  if (type === "float32") return make(Float32Array.from(values));
  throw new TensorARError(`${where}: input "${name}" is ${type}; only int64, int32, bool and float32 are fed`);
}
