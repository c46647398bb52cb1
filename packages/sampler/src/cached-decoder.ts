import {
  type DecodeInputs,
  type DecodePositionsInputs,
  type FactorInputs,
  requireOptions,
  TensorARError,
  type TensorData,
} from "@tensorar/core";
import type { Conditioning, ConditionTensors } from "./conditioning";
import type { Decoder, DecodeSession } from "./decoder";
import { type CacheShape, createCache, type KvCache } from "./kv-cache";
import { findOutput, type NamedOutputs, type OutputTensor, readLogits, readStates } from "./outputs";

/** A tensor that a step takes: float16 only where the cache is. */
export type StepTensor = TensorData<"float32" | "float16" | "int32">;

/** What one decoder step is given, on the host: see `DecodeInputs` of `@tensorar/core`. */
export type StepInputs<T extends ConditionTensors = ConditionTensors> = DecodeInputs<StepTensor, T>;

/** As {@link StepInputs}, for several positions in a row. */
export type PositionsInputs<T extends ConditionTensors = ConditionTensors> = DecodePositionsInputs<StepTensor, T>;

/** What one decoder step returns: predictions, and the new position's rows for the cache. */
export interface StepOutputs {
  /** float32 [R, k, V] */
  readonly logits: OutputTensor;
  /** float32 [R, k, D], with factors */
  readonly states?: OutputTensor | undefined;
  /** [2, layers, R, H, L, Dh]: keys, then values, in the cache's type */
  readonly rows: OutputTensor;
  /** float32 [R, C]: from a step that runs all positions of the condition the first time, as {@link PrefillOutputs.mask}. */
  readonly mask?: OutputTensor | undefined;
}

/** What the condition's C positions return all at once: predictions of X[0], their rows of the cache, and which are padding. */
export interface PrefillOutputs extends StepOutputs {
  /** float32 [R, C]: 0, or -1e9 where a position is padding */
  readonly mask: OutputTensor;
}

/** A function of the model; it may be one whose outputs are known by name only, which are checked when they come. */
export type Runs<Inputs, Outputs> = { run(inputs: Inputs): Promise<Outputs | NamedOutputs> }["run"];

/** Sizes of a model, and what runs its steps. */
export interface CachedDecoderOptions<C, T extends ConditionTensors = ConditionTensors> {
  readonly tokens: number;
  readonly windowSize: number;
  readonly vocabSize: number;
  /** V_0, V_1, … where a token consists of sub-tokens; needs `nextSubToken`. */
  readonly factors?: readonly number[] | undefined;
  readonly cache: CacheShape;
  readonly conditioning: Conditioning<C, T>;
  /** Runs the condition's positions. Without it the first step runs them, or the one that there is. */
  prefill?: Runs<{ readonly condition: NoInfer<T> }, PrefillOutputs> | undefined;
  /** Runs one step: the model's decode function, eagerly, compiled or from a file. Not needed beside `runPositions`. */
  run?: Runs<StepInputs<NoInfer<T>>, StepOutputs> | undefined;
  /** Runs several positions at once: the model's decodePositions function. Needed for Jacobi decoding. */
  runPositions?: Runs<PositionsInputs<NoInfer<T>>, StepOutputs> | undefined;
  /** Logits of the sub-tokens after the known ones. */
  nextSubToken?: Runs<FactorInputs<StepTensor>, Pick<StepOutputs, "logits">> | undefined;
  /** Of chained models: logits of the entry after the known ones. */
  nextEntry?: Runs<FactorInputs<StepTensor>, Pick<StepOutputs, "logits">> | undefined;
}

/**
 * A decoder over a step function, with the KV cache kept here in plain arrays: the runtime reads them, and only the new
 * position's rows come back. The cache grows in buckets, so that a step reads little more than what is filled.
 */
export function cachedDecoder<C = number, T extends ConditionTensors = ConditionTensors>(
  options: CachedDecoderOptions<C, T>,
): Decoder<C> {
  requireOptions(WHERE, options, ["tokens", "windowSize", "vocabSize", "cache", "conditioning"]);
  const { tokens, windowSize, vocabSize, factors, conditioning } = options;
  const run = options.run ?? onePosition(options.runPositions);
  return {
    tokens,
    windowSize,
    vocabSize,
    ...(factors && { factors }),
    ...(options.nextEntry && { chained: true }),
    unconditional: conditioning.unconditional,
    start: (conditions) => startSession({ ...options, run }, conditions),
  };
}

type Runnable<C, T extends ConditionTensors> = CachedDecoderOptions<C, T> & {
  run: Runs<StepInputs<NoInfer<T>>, StepOutputs>;
};

function startSession<C, T extends ConditionTensors>(options: Runnable<C, T>, conditions: ArrayLike<C>): DecodeSession {
  const { tokens, windowSize: k, vocabSize, factors, prefill, run, runPositions, nextSubToken, nextEntry } = options;
  const R = conditions.length;
  const condition = options.conditioning.tensors(conditions);
  const cache = createCache(options.cache, R, tokens);
  let done = 0; // calls of step
  let states: StepTensor | undefined; // of the last call, [R · L, k, D]
  const read = (outputs: object, ...L: number[]): Float32Array => {
    states = readStates(WHERE, outputs, k);
    return readLogits(WHERE, outputs, [R, ...L, nextEntry ? 1 : k, factors?.[0] ?? vocabSize]);
  };
  return {
    async step(windows) {
      if (done === tokens) throw new TensorARError(`${WHERE}: all ${tokens} tokens are decoded; start a new session`);
      const window: StepTensor = { dtype: "int32", shape: [R, k], data: windows };
      const position: StepTensor = { dtype: "int32", shape: [1], data: cache.filled().slice(0, 1) };
      const outputs =
        done === 0 && prefill
          ? await prefill({ condition })
          : await run({ condition, window, position, ...cache.inputs() });
      const logits = read(outputs);
      done++;
      if (done < tokens) cache.append(findOutput(outputs, "rows"), findOutput(outputs, "mask"));
      return logits;
    },
    ...(runPositions && verifying(options, runPositions, { R, condition, cache, read })),
    async nextSubToken(known) {
      if (!nextSubToken || !states)
        throw new TensorARError(`${WHERE}: this model has no sub-tokens; draw whole tokens`);
      const shape = [states.shape[0]!, k];
      const outputs = await nextSubToken({ states, known: known.map((data) => ({ dtype: "int32", shape, data })) });
      return readLogits(WHERE, outputs, [...shape, factors?.[known.length] ?? vocabSize]);
    },
    async nextEntry(known) {
      if (!nextEntry || !states)
        throw new TensorARError(`${WHERE}: this model is not chained; draw all entries at once`);
      const shape = [states.shape[0]!];
      const outputs = await nextEntry({ states, known: known.map((data) => ({ dtype: "int32", shape, data })) });
      return readLogits(WHERE, outputs, [...shape, vocabSize]);
    },
  };
}

/** What a session does with several positions at once. */
function verifying<C, T extends ConditionTensors>(
  { tokens, windowSize: k }: CachedDecoderOptions<C, T>,
  runPositions: Runs<PositionsInputs<NoInfer<T>>, StepOutputs>,
  session: {
    readonly R: number;
    readonly condition: NoInfer<T>;
    readonly cache: KvCache;
    read(outputs: object, L: number): Float32Array;
  },
): Required<Pick<DecodeSession, "verify" | "commit">> {
  const { R, condition, cache } = session;
  let committed: Int32Array | undefined; // [R]: positions before the last call
  let last = 0; // the last position of a sequence that predicts anything
  return {
    async verify(windows) {
      const L = windows.length / (R * k);
      if (!committed) last = cache.filled()[0]! + tokens - 2; // after the condition's positions
      const before = cache.filled().slice();
      committed = before;
      const at = (i: number) => Math.min(last, before[Math.floor(i / L)]! + (i % L));
      const outputs = await runPositions({
        condition,
        windows: { dtype: "int32", shape: [R, L, k], data: windows },
        positions: { dtype: "int32", shape: [R, L], data: Int32Array.from({ length: R * L }, (_, i) => at(i)) },
        ...cache.inputs(),
      });
      const logits = session.read(outputs, L);
      cache.append(findOutput(outputs, "rows"));
      return logits;
    },
    commit(counts) {
      if (!committed) throw new TensorARError(`${WHERE}: nothing to commit; call verify first`);
      cache.truncate(committed.map((count, row) => count + counts[row]!));
    },
  };
}

const WHERE = "cachedDecoder";

/** A step by the function of several positions. */
function onePosition<T extends ConditionTensors>(
  runPositions: CachedDecoderOptions<never, T>["runPositions"],
): Runs<StepInputs<T>, StepOutputs> {
  if (!runPositions) throw new TensorARError(`${WHERE}: nothing runs a step; pass run or runPositions`);
  return async ({ window, position, ...rest }) => {
    const [R, k] = window.shape as [number, number];
    const [first] = position.data;
    const positions: StepTensor = { dtype: "int32", shape: [R, 1], data: new Int32Array(R).fill(Number(first)) };
    return runPositions({ ...rest, windows: { ...window, shape: [R, 1, k] }, positions });
  };
}
