import {
  type DecodeInputs,
  type DecodeSlotsInputs,
  type FactorInputs,
  requireOptions,
  TensorARError,
  type TensorData,
} from "@tensorar/core";
import type { Conditioning, ConditionTensors } from "./conditioning";
import type { Decoder, DecodeSession } from "./decoder";
import { type CacheShape, createCache } from "./kv-cache";
import { findOutput, type NamedOutputs, type OutputTensor, readLogits, readStates } from "./outputs";

/** A tensor that a step takes: float16 only where the cache is. */
export type StepTensor = TensorData<"float32" | "float16" | "int32">;

/** What one decoder step is given, on the host: see `DecodeInputs` of `@tensorar/core`. */
export type StepInputs<T extends ConditionTensors = ConditionTensors> = DecodeInputs<StepTensor, T>;

/** As {@link StepInputs}, for several positions in a row. */
export type SlotsInputs<T extends ConditionTensors = ConditionTensors> = DecodeSlotsInputs<StepTensor, T>;

/** What one decoder step returns: predictions, and the new slot's rows for the cache. */
export interface StepOutputs {
  /** float32 [R, k, V] */
  readonly logits: OutputTensor;
  /** float32 [R, k, D], with factors */
  readonly states?: OutputTensor | undefined;
  /** [2, layers, R, H, L, Dh]: keys, then values, in the cache's type */
  readonly rows: OutputTensor;
  /** float32 [R, C]: from a step that runs all slots of the condition the first time, as {@link PrefillOutputs.mask}. */
  readonly mask?: OutputTensor | undefined;
}

/** What the condition's C slots return all at once: predictions of X[0], their rows of the cache, and which are padding. */
export interface PrefillOutputs extends StepOutputs {
  /** float32 [R, C]: 0, or -1e9 where a slot is padding */
  readonly mask: OutputTensor;
}

/** A function of the model; it may be one whose outputs are known by name only, which are checked when they come. */
export type Runs<Inputs, Outputs> = { run(inputs: Inputs): Promise<Outputs | NamedOutputs> }["run"];

/** Sizes of a model, and what runs its steps. */
export interface CachedDecoderOptions<C, T extends ConditionTensors = ConditionTensors> {
  readonly tokens: number;
  readonly windowSize: number;
  readonly vocabSize: number;
  /** V_0, V_1, … where a token consists of sub-tokens; needs `nextFactor`. */
  readonly factors?: readonly number[] | undefined;
  readonly cache: CacheShape;
  readonly conditioning: Conditioning<C, T>;
  /** Runs the condition's slots. Without it the first step runs them, or the one that there is. */
  prefill?: Runs<{ readonly condition: NoInfer<T> }, PrefillOutputs> | undefined;
  /** Runs one step: the model's decode function, eagerly, compiled or from a file. Not needed beside `runSlots`. */
  run?: Runs<StepInputs<NoInfer<T>>, StepOutputs> | undefined;
  /** Runs several slots at once: the model's decodeSlots function. Needed to look ahead. */
  runSlots?: Runs<SlotsInputs<NoInfer<T>>, StepOutputs> | undefined;
  /** Logits of the sub-tokens after the known ones. */
  nextFactor?: Runs<FactorInputs<StepTensor>, Pick<StepOutputs, "logits">> | undefined;
}

/**
 * A decoder over a step function, with the KV cache kept here in plain arrays: the runtime reads them, and only the new
 * slot's rows come back. The cache grows in buckets, so that a step reads little more than what is filled.
 */
export function cachedDecoder<C = number, T extends ConditionTensors = ConditionTensors>(
  options: CachedDecoderOptions<C, T>,
): Decoder<C> {
  requireOptions(WHERE, options, ["tokens", "windowSize", "vocabSize", "cache", "conditioning"]);
  const { tokens, windowSize, vocabSize, factors, conditioning, prefill, nextFactor, runSlots } = options;
  const run = options.run ?? oneSlot(runSlots);
  return {
    tokens,
    windowSize,
    vocabSize,
    ...(factors && { factors }),
    unconditional: conditioning.unconditional,
    start(conditions): DecodeSession {
      const R = conditions.length;
      const condition = conditioning.tensors(conditions);
      const cache = createCache(options.cache, R, tokens);
      let done = 0;
      let states: StepTensor | undefined;
      let ahead = 0; // slots before the last look ahead
      const read = (outputs: object, ...slots: number[]): Float32Array =>
        readLogits(WHERE, outputs, [R, ...slots, windowSize, factors?.[0] ?? vocabSize]);
      return {
        async step(windows) {
          if (done === tokens)
            throw new TensorARError(`${WHERE}: all ${tokens} tokens are decoded; start a new session`);
          const outputs =
            done === 0 && prefill
              ? await prefill({ condition })
              : await run({
                  condition,
                  window: { dtype: "int32", shape: [R, windowSize], data: windows },
                  position: { dtype: "int32", shape: [1], data: Int32Array.of(cache.filled()) },
                  ...cache.inputs(),
                });
          const logits = read(outputs);
          done++;
          states = readStates(WHERE, outputs);
          if (done < tokens) cache.append(findOutput(outputs, "rows"), findOutput(outputs, "mask"));
          return logits;
        },
        ...(runSlots && {
          async lookAhead(windows: Int32Array) {
            const L = windows.length / (R * windowSize);
            const first = cache.filled();
            const outputs = await runSlots({
              condition,
              windows: { dtype: "int32", shape: [R, L, windowSize], data: windows },
              positions: { dtype: "int32", shape: [L], data: Int32Array.from({ length: L }, (_, i) => first + i) },
              ...cache.inputs(),
            });
            const logits = read(outputs, L);
            ahead = first;
            cache.append(findOutput(outputs, "rows"));
            return logits;
          },
          keep(count: number) {
            cache.truncate(ahead + count);
            done += count;
          },
        }),
        async nextFactor(known) {
          if (!nextFactor || !states)
            throw new TensorARError(`${WHERE}: this model has no sub-tokens; draw whole tokens`);
          const outputs = await nextFactor({
            states,
            known: known.map((data) => ({ dtype: "int32", shape: [R, windowSize], data })),
          });
          return readLogits(WHERE, outputs, [R, windowSize, factors?.[known.length] ?? vocabSize]);
        },
      };
    },
  };
}

const WHERE = "cachedDecoder";

/** A step by the function of several slots. */
function oneSlot<T extends ConditionTensors>(
  runSlots: CachedDecoderOptions<never, T>["runSlots"],
): Runs<StepInputs<T>, StepOutputs> {
  if (!runSlots) throw new TensorARError(`${WHERE}: nothing runs a step; pass run or runSlots`);
  return async ({ window, position, ...rest }) => {
    const [R, k] = window.shape as [number, number];
    return runSlots({ ...rest, windows: { ...window, shape: [R, 1, k] }, positions: position });
  };
}
