import { TensorARError } from "@tensorar/core";
import type { Conditioning, ConditionTensors } from "./conditioning";
import type { Decoder, DecodeSession } from "./decoder";
import { type CacheShape, createCache } from "./kv-cache";

/** A tensor in memory, as it crosses the border to whatever runs the model. float16 is held as its bits. */
export interface TensorData {
  readonly dtype: "float32" | "float16" | "int32";
  readonly shape: readonly number[];
  readonly data: Float32Array | Uint16Array | Int32Array;
}

/** What one decoder step is given: the previous tensor, and the cache as inputs only. */
export interface StepInputs {
  /** int32 [R] for classes */
  readonly condition: ConditionTensors;
  /** int32 [R, k] */
  readonly window: TensorData;
  /** int32 [1]: the slot */
  readonly position: TensorData;
  /** float32 [R, S]: 0 where a slot of the cache is filled, -1e9 where not */
  readonly mask: TensorData;
  /** float32 [R, H, S, Dh], one per layer */
  readonly keys: TensorData[];
  /** float32 [R, H, S, Dh], one per layer */
  readonly values: TensorData[];
}

/** As {@link StepInputs}, for several slots in a row. */
export interface SlotsInputs extends Omit<StepInputs, "window" | "position"> {
  /** int32 [R, L, k] */
  readonly windows: TensorData;
  /** int32 [L] */
  readonly positions: TensorData;
}

/** What one decoder step returns: predictions, and the new slot's rows for the cache. */
export interface StepOutputs {
  /** float32 [R, k, V] */
  readonly logits: TensorData;
  /** float32 [R, k, D], with factors */
  readonly states?: TensorData;
  /** float32 [2, layers, R, H, L, Dh]: keys, then values */
  readonly rows: TensorData;
  /** float32 [R, C]: from a step that runs all slots of the condition the first time, as {@link PrefillOutputs.mask}. */
  readonly mask?: TensorData;
}

/** What the condition's C slots return all at once: predictions of X[0], their rows of the cache, and which are padding. */
export interface PrefillOutputs {
  /** float32 [R, k, V] */
  readonly logits: TensorData;
  /** float32 [R, k, D], with factors */
  readonly states?: TensorData;
  /** float32 [2, layers, R, H, C, Dh]: keys, then values */
  readonly rows: TensorData;
  /** float32 [R, C]: 0, or -1e9 where a slot is padding */
  readonly mask: TensorData;
}

/** What predicting sub-tokens takes. */
export interface FactorInputs {
  /** float32 [R, k, D], as `run` returned them */
  readonly states: TensorData;
  /** int32 [R, k] each */
  readonly known: TensorData[];
}

export interface CachedDecoderOptions<C> {
  readonly tokens: number;
  readonly windowSize: number;
  readonly vocabSize: number;
  /** V_0, V_1, … where a token consists of sub-tokens; needs `nextFactor`. */
  readonly factors?: readonly number[];
  readonly cache: CacheShape;
  readonly conditioning: Conditioning<C>;
  /** Runs the condition's slots. Without it the first step runs them, or the one that there is. */
  prefill?(inputs: { readonly condition: ConditionTensors }): Promise<PrefillOutputs>;
  /** Runs one step: the model's decode function, eagerly or compiled. Not needed beside `runSlots`. */
  run?(inputs: StepInputs): Promise<StepOutputs>;
  /** Runs several slots at once: the model's decodeSlots function. Needed to look ahead. */
  runSlots?(inputs: SlotsInputs): Promise<StepOutputs>;
  /** Logits of the sub-tokens after the known ones. */
  nextFactor?(inputs: FactorInputs): Promise<{ readonly logits: TensorData }>;
}

/**
 * A decoder over a step function, with the KV cache kept here in plain arrays: the runtime reads them, and only the new
 * slot's rows come back. The cache grows in buckets, so that a step reads little more than what is filled.
 */
export function cachedDecoder<C = number>(options: CachedDecoderOptions<C>): Decoder<C> {
  const { tokens, windowSize, vocabSize, factors, conditioning, prefill, nextFactor, runSlots } = options;
  const run = options.run ?? oneSlot(runSlots);
  return {
    ...{ tokens, windowSize, vocabSize },
    ...(factors && { factors }),
    unconditional: conditioning.unconditional,
    start(conditions): DecodeSession {
      const R = conditions.length;
      const condition = conditioning.tensors(conditions);
      const cache = createCache(options.cache, R, tokens);
      let done = 0;
      let states: TensorData | undefined;
      let ahead = 0; // slots before the last look ahead
      return {
        async step(windows) {
          if (done === tokens)
            throw new TensorARError(`cachedDecoder: all ${tokens} tokens are decoded; start a new session`);
          const outputs: StepOutputs =
            done === 0 && prefill
              ? await prefill({ condition })
              : await run({
                  condition,
                  window: { dtype: "int32", shape: [R, windowSize], data: windows },
                  position: { dtype: "int32", shape: [1], data: Int32Array.of(cache.filled()) },
                  ...cache.inputs(),
                });
          done++;
          states = outputs.states;
          if (done < tokens) cache.append(outputs.rows, outputs.mask);
          return outputs.logits.data as Float32Array;
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
            ahead = first;
            cache.append(outputs.rows);
            return outputs.logits.data as Float32Array;
          },
          keep(count: number) {
            cache.truncate(ahead + count);
            done += count;
          },
        }),
        async nextFactor(known) {
          if (!nextFactor || !states)
            throw new TensorARError("cachedDecoder: this model has no sub-tokens; draw whole tokens");
          const { logits } = await nextFactor({
            states,
            known: known.map((data) => ({ dtype: "int32", shape: [R, windowSize], data })),
          });
          return logits.data as Float32Array;
        },
      };
    },
  };
}

/** A step by the function of several slots. */
function oneSlot(runSlots: CachedDecoderOptions<never>["runSlots"]): NonNullable<CachedDecoderOptions<never>["run"]> {
  if (!runSlots) throw new TensorARError("cachedDecoder: nothing runs a step; pass run or runSlots");
  return async ({ window, position, ...rest }) => {
    const [R, k] = window.shape as [number, number];
    return runSlots({ ...rest, windows: { ...window, shape: [R, 1, k] }, positions: position });
  };
}
