import { type Condition, modelPrograms, type Params, type TensorARModel } from "@tensorar/model";
import { runProgram } from "@tensorar/program";
import { type Conditioning, cachedDecoder, type Decoder } from "../src";

/** A model run step by step by tfjs; the condition's positions in a prefill unless there is one. */
export function eagerDecoder<C>(
  model: TensorARModel<Condition>,
  params: Params,
  conditioning: Conditioning<C>,
  { parallel = false } = {},
): Decoder<C> {
  const { backbone, windowSize } = model;
  const { tokens, vocabSize, cache, factors } = backbone;
  const { decode, decodePositions, prefill, nextSubToken, nextEntry } = modelPrograms(model, params);
  return cachedDecoder({
    tokens,
    windowSize,
    vocabSize,
    cache,
    conditioning,
    ...(factors && { factors: factors.sizes }),
    ...(prefill && { prefill: async (inputs) => runProgram(prefill, inputs) }),
    ...(parallel
      ? { runPositions: async (inputs) => runProgram(decodePositions, inputs) }
      : { run: async (inputs) => runProgram(decode, inputs) }),
    ...(model.chained && { nextEntry: async (inputs) => runProgram(nextEntry[inputs.known.length - 1]!, inputs) }),
    nextSubToken: async (inputs) => runProgram(nextSubToken[inputs.known.length - 1]!, inputs),
  });
}
