import { type Condition, type Params, packRows, type TensorARModel } from "@tensorar/model";
import * as tf from "@tensorflow/tfjs-core";
import { type Conditioning, cachedDecoder, type Decoder, type TensorData } from "../src";

type Nested<T> = T | readonly Nested<T>[] | { readonly [name: string]: Nested<T> };

const isData = (value: object): value is TensorData => "data" in value;

/** Every tensor of a nested value, turned into another kind. */
function mapped<A extends object, B>(
  value: Nested<A>,
  is: (value: object) => value is A,
  change: (leaf: A) => B,
): unknown {
  if (is(value)) return change(value);
  if (Array.isArray(value)) return value.map((each) => mapped(each, is, change));
  return Object.fromEntries(Object.entries(value).map(([name, each]) => [name, mapped(each, is, change)]));
}

const toTensors = <T>(inputs: object): T =>
  mapped(inputs as Nested<TensorData>, isData, ({ data, shape, dtype }) =>
    tf.tensor(data.slice(), [...shape], dtype as "float32"),
  ) as T;

const toData = <T>(outputs: object): T =>
  mapped(
    outputs as Nested<tf.Tensor>,
    (value): value is tf.Tensor => value instanceof tf.Tensor,
    (tensor) => ({ dtype: tensor.dtype, shape: tensor.shape, data: tensor.dataSync() }),
  ) as T;

/** A model run step by step by tfjs; the condition's slots in a prefill unless there is one. */
export function eagerDecoder<C>(
  model: TensorARModel<Condition>,
  params: Params,
  conditioning: Conditioning<C>,
  { ahead = false } = {},
): Decoder<C> {
  const { backbone, windowSize } = model;
  const { tokens, vocabSize, cache, conditionSlots, factors } = backbone;
  return cachedDecoder({
    ...{ tokens, windowSize, vocabSize, cache, conditioning },
    ...(factors && { factors: factors.sizes }),
    ...(conditionSlots !== 1 && {
      prefill: async (inputs) => toData(packRows(model.prefill(params, toTensors(inputs)))),
    }),
    ...(ahead
      ? { runSlots: async (inputs) => toData(packRows(model.decodeSlots(params, toTensors(inputs)))) }
      : { run: async (inputs) => toData(packRows(model.decode(params, toTensors(inputs)))) }),
    nextFactor: async (inputs) => toData({ logits: model.nextFactor(params, toTensors(inputs)) }),
  });
}
