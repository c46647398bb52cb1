import type { Decoder, DecodeSession } from "./decoder";
import { TensorARError } from "./errors";
import { type CacheShape, createCache } from "./kv-cache";

/** A tensor in memory, as it crosses the border to whatever runs the model. */
export interface TensorData {
  readonly dtype: "float32" | "int32";
  readonly shape: readonly number[];
  readonly data: Float32Array | Int32Array;
}

/** What one decoder step is given: the previous tensor, and the cache as inputs only. */
export interface StepInputs {
  /** int32 [R] */
  readonly condition: TensorData;
  /** int32 [R, k] */
  readonly window: TensorData;
  /** int32 [1]: the slot */
  readonly position: TensorData;
  /** float32 [R, S]: 0 where a slot of the cache is filled, -1e9 where not */
  readonly mask: TensorData;
  /** float32 [R, H, Dh, S], one per layer */
  readonly keys: TensorData[];
  /** float32 [R, H, S, Dh], one per layer */
  readonly values: TensorData[];
}

/** What one decoder step returns: predictions, and the new slot's rows for the cache. */
export interface StepOutputs {
  /** float32 [R, k, V] */
  readonly logits: TensorData;
  /** float32 [R, H, Dh, 1], one per layer */
  readonly keys: readonly TensorData[];
  /** float32 [R, H, 1, Dh], one per layer */
  readonly values: readonly TensorData[];
}

export interface CachedDecoderOptions {
  readonly tokens: number;
  readonly windowSize: number;
  readonly vocabSize: number;
  readonly nullCondition: number;
  /** Slots before the image; only 1 is served. */
  readonly conditionSlots: number;
  readonly cache: CacheShape;
  /** Runs one step: the model's decode function, eagerly or compiled. */
  run(inputs: StepInputs): Promise<StepOutputs>;
}

/**
 * A decoder over a step function, with the KV cache kept here in plain arrays: the runtime reads them, and only the new
 * slot's rows come back. The cache grows in buckets, so that a step reads little more than what is filled.
 *
 * @throws TensorARError when the model has more than one condition slot
 */
export function cachedDecoder(options: CachedDecoderOptions): Decoder {
  const { tokens, windowSize, vocabSize, nullCondition, conditionSlots, run } = options;
  if (conditionSlots !== 1) {
    throw new TensorARError(
      `cachedDecoder: ${conditionSlots} condition slots; models with one (class labels) are served`,
    );
  }
  return {
    tokens,
    windowSize,
    vocabSize,
    nullCondition,
    start(conditions): DecodeSession {
      const R = conditions.length;
      const cache = createCache(options.cache, R, tokens - 1);
      const condition: TensorData = { dtype: "int32", shape: [R], data: conditions };
      let slot = 0;
      return {
        async step(windows) {
          if (slot === tokens)
            throw new TensorARError(`cachedDecoder: all ${tokens} tokens are decoded; start a new session`);
          const outputs = await run({
            condition,
            window: { dtype: "int32", shape: [R, windowSize], data: windows },
            position: { dtype: "int32", shape: [1], data: Int32Array.of(slot) },
            ...cache.inputs(slot),
          });
          if (slot < tokens - 1) cache.write(slot, outputs);
          slot++;
          return outputs.logits.data as Float32Array;
        },
      };
    },
  };
}
