import { setImmediate } from "node:timers/promises";
import { mapLeaves, type Nested, type TensorData } from "@tensorar/core";
import { type Feed, hostTensor, isBackendTensor, isFeed } from "@tensorar/onnx";
import { type TensorFunction, toHost, toTensors } from "@tensorar/program";
import * as tf from "@tensorflow/tfjs-core";
import type { Engine, InputSpecs, PrepareOptions, Runnable } from "./engine";

/** What a function takes and returns, without the names that its own type tells. */
type Level<T> = Readonly<Record<string, Nested<T>>>;

const isTensor = (value: unknown): value is tf.Tensor => value instanceof tf.Tensor;
const dispose = (tensors: Level<tf.Tensor>): void => void mapLeaves(tensors, isTensor, (tensor) => tensor.dispose());

/** Inputs as tensors of this backend. Those that are on one may be of another copy of tfjs, so what they hold is copied. */
async function taken(inputs: Level<Feed>): Promise<Level<tf.Tensor>> {
  const copies = new Map<Feed, TensorData>();
  const copying: Promise<unknown>[] = [];
  mapLeaves(inputs, isFeed, (feed) => {
    if (isBackendTensor(feed)) copying.push(hostTensor(feed).then((copy) => copies.set(feed, copy)));
  });
  await Promise.all(copying);
  const onHost = mapLeaves(inputs, isFeed, (feed) => (isBackendTensor(feed) ? copies.get(feed)! : feed));
  return toTensors(onHost) as Level<tf.Tensor>;
}

/** Runs tensor functions op by op on a tfjs backend that is already registered and selected. */
export const eagerEngine = (description: string): Engine => ({ description, prepare });

// To callers, nested as their specs and results are; here, any nesting.
async function prepare<S, O, K extends string>(
  fn: TensorFunction<S, O>,
  inputs: S,
  options?: PrepareOptions<K>,
): Promise<Runnable<S, O, K>>;
async function prepare(
  fn: (inputs: never) => object,
  _inputs: InputSpecs,
  { state: stateKeys = [] }: PrepareOptions<string> = {},
): Promise<object> {
  let state: Level<tf.Tensor> = {};
  const replaceState = (next: Level<tf.Tensor>) => {
    dispose(state);
    state = next;
  };
  const run = async (inputs: Level<Feed>): Promise<Level<TensorData>> => {
    await setImmediate(); // all that follows is synchronous: a loop of calls would never see Ctrl-C
    const given = await taken(inputs);
    const outputs = tf.tidy(() => fn({ ...given, ...state } as never) as tf.TensorContainerObject) as Level<tf.Tensor>;
    dispose(given);
    const result: Record<string, Nested<TensorData>> = {};
    const next: Record<string, Nested<tf.Tensor>> = {};
    for (const [key, value] of Object.entries(outputs)) {
      if (stateKeys.includes(key)) next[key] = value;
      else {
        result[key] = toHost(value);
        dispose({ [key]: value });
      }
    }
    if (stateKeys.length > 0) replaceState(next);
    return result;
  };
  return Object.assign(run, {
    setState: async (next: Level<Feed>) => replaceState(await taken(next)),
    getState: async () => toHost(state) as Level<TensorData>,
    dispose: async () => replaceState({}),
  });
}
