import type { FactorInputs, TensorSpec } from "@tensorar/core";
import {
  type DecodePositionsSpecs,
  type DecodeSpecs,
  type LoadedModel,
  type ModelPrograms,
  modelPrograms,
  type PackedOutputs,
  type PrefillSpecs,
  toParams,
} from "@tensorar/model";
import { type Conditioning, cachedDecoder, type Decoder } from "@tensorar/sampler";
import type { Engine } from "@tensorar/training";
import * as tf from "@tensorflow/tfjs-core";

/**
 * A model made ready for generation on an engine; any number of images at once. With `parallel` a step may take several positions,
 * as Jacobi decoding needs.
 */
export async function openDecoder<C>(
  { model, tensors }: LoadedModel,
  conditioning: Conditioning<C>,
  engine: Engine,
  { parallel = false } = {},
): Promise<{ decoder: Decoder<C>; dispose(): Promise<void> }> {
  const params = toParams(tensors);
  const { step, prefill, nextSubTokens, nextEntries, dispose } = await prepare(
    modelPrograms(model, params),
    engine,
    parallel,
  );
  const { tokens, vocabSize, cache, factors } = model.backbone;
  const decoder = cachedDecoder({
    tokens,
    windowSize: model.windowSize,
    vocabSize,
    cache,
    conditioning,
    ...step,
    prefill,
    ...(factors && {
      factors: factors.sizes,
      nextSubToken: (inputs) => nextSubTokens[inputs.known.length - 1]!(inputs),
    }),
    ...(model.chained && { nextEntry: (inputs) => nextEntries[inputs.known.length - 1]!(inputs) }),
  });
  return {
    decoder,
    async dispose() {
      await dispose();
      tf.dispose(params);
    },
  };
}

/** The programs that a decoder runs, ready on an engine. */
async function prepare(programs: ModelPrograms, engine: Engine, parallel: boolean) {
  const { decode, decodePositions, prefill, nextSubToken, nextEntry } = programs;
  const prepared: { dispose(): Promise<void> }[] = [];
  const kept = <R extends { dispose(): Promise<void> }>(run: R): R => {
    prepared.push(run);
    return run;
  };
  const positions = () =>
    engine.prepare<DecodePositionsSpecs, PackedOutputs>(decodePositions.run, decodePositions.inputs);
  const following = async ({ run, inputs }: ModelPrograms["nextEntry"][number]) =>
    kept(await engine.prepare<FactorInputs<TensorSpec>, { logits: tf.Tensor }>(run, inputs));
  const one = () => engine.prepare<DecodeSpecs, PackedOutputs>(decode.run, decode.inputs);
  return {
    step: parallel ? { runPositions: kept(await positions()) } : { run: kept(await one()) },
    prefill: prefill && kept(await engine.prepare<PrefillSpecs, PackedOutputs>(prefill.run, prefill.inputs)),
    nextSubTokens: await Promise.all(nextSubToken.map(following)),
    nextEntries: await Promise.all(nextEntry.map(following)),
    async dispose() {
      await Promise.all(prepared.map((each) => each.dispose()));
    },
  };
}
