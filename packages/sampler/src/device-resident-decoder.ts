import { MASK_VALUE, requireOptions, TensorARError } from "@tensorar/core";
import type { CachedDecoderOptions, StepInputs, StepOutputs, StepTensor } from "./cached-decoder";
import type { ConditionTensors } from "./conditioning";
import type { Decoder, DecodeSession } from "./decoder";
import type { CacheShape } from "./kv-cache";
import { type NamedOutputs, readLogits, readStates } from "./outputs";

/**
 * A step that keeps the cache itself, as `openModel` of `@tensorar/onnx` opens `decoder-resident.onnx` with the state
 * `mask`, `keys` and `values`.
 */
export interface DeviceResidentStep<T extends ConditionTensors = ConditionTensors> {
  (
    inputs: Pick<StepInputs<T>, "condition" | "window" | "position">,
  ): Promise<Pick<StepOutputs, "logits" | "states"> | NamedOutputs>;
  /** Gives `mask` [R, S], and `keys` and `values` [R, H, S, Dh] their first values. */
  setState(state: {
    readonly mask: StepTensor;
    readonly keys: readonly StepTensor[];
    readonly values: readonly StepTensor[];
  }): Promise<void>;
  /** Names and types of what it takes. */
  readonly inputs: readonly { readonly name: string; readonly dtype: string }[];
}

/** Sizes of a model, and the step that keeps the cache. */
export interface DeviceResidentDecoderOptions<C, T extends ConditionTensors = ConditionTensors>
  extends Pick<
    CachedDecoderOptions<C, T>,
    "tokens" | "windowSize" | "vocabSize" | "factors" | "cache" | "conditioning" | "nextSubToken"
  > {
  /** C; null where it is as many as the prompt is long. */
  readonly conditionPositions: number | null;
  readonly run: DeviceResidentStep<NoInfer<T>>;
}

const WHERE = "deviceResidentDecoder";

/**
 * As `cachedDecoder`, with a cache that never leaves the device: only codes go there and only logits come back. Since there is
 * one cache, a new session ends the one before it.
 */
export function deviceResidentDecoder<C = number, T extends ConditionTensors = ConditionTensors>(
  options: DeviceResidentDecoderOptions<C, T>,
): Decoder<C> {
  requireOptions("deviceResidentDecoder", options, ["tokens", "windowSize", "vocabSize", "conditioning", "run"]);
  const { tokens, windowSize, vocabSize, factors, conditioning } = options;
  let newest = 0;
  return {
    tokens,
    windowSize,
    vocabSize,
    ...(factors && { factors }),
    unconditional: conditioning.unconditional,
    start(conditions) {
      const own = ++newest;
      return startSession(options, conditions, () => {
        if (own === newest) return;
        throw new TensorARError(
          "deviceResidentDecoder: another session has begun and taken the cache; use one at a time",
        );
      });
    },
  };
}

/** @param check throws where another session has taken the cache */
function startSession<C, T extends ConditionTensors>(
  options: DeviceResidentDecoderOptions<C, T>,
  conditions: ArrayLike<C>,
  check: () => void,
): DecodeSession {
  const { tokens, windowSize, vocabSize, factors, conditioning, conditionPositions, run, nextSubToken } = options;
  const int = (shape: number[], data: Int32Array) => ({ dtype: "int32", shape, data }) as const;
  const R = conditions.length;
  const condition = conditioning.tensors(conditions);
  const C = conditionPositions ?? promptLength(condition);
  let done = 0;
  let states: StepTensor | undefined;
  return {
    async step(windows) {
      check();
      if (done === tokens)
        throw new TensorARError(`deviceResidentDecoder: all ${tokens} tokens are decoded; start a new session`);
      if (done === 0) await run.setState(emptyState(options, R, C + tokens - 2));
      const position = Int32Array.of(done === 0 ? 0 : C - 1 + done);
      const window = int([R, windowSize], windows);
      const outputs = await run({ condition, window, position: int([1], position) });
      const logits = readLogits(WHERE, outputs, [R, windowSize, factors?.[0] ?? vocabSize]);
      done++;
      states = readStates(WHERE, outputs, windowSize);
      return logits;
    },
    async nextSubToken(known) {
      check();
      if (!nextSubToken || !states)
        throw new TensorARError("deviceResidentDecoder: this model has no sub-tokens; draw whole tokens");
      const outputs = await nextSubToken({ states, known: known.map((data) => int([R, windowSize], data)) });
      return readLogits(WHERE, outputs, [R, windowSize, factors?.[known.length] ?? vocabSize]);
    },
  };
}

function promptLength(condition: ConditionTensors): number {
  const { mask } = condition as { readonly mask?: { readonly shape: readonly number[] } };
  const length = mask?.shape[1];
  if (length === undefined)
    throw new TensorARError(
      "deviceResidentDecoder: conditionPositions is null, but conditions are no prompts; give their positions",
    );
  return length;
}

/** @param positions of the condition and of all tokens but the last, which nobody reads; at least one */
function emptyState(
  {
    run,
    cache: { layers, heads, headDim },
  }: { readonly run: Pick<DeviceResidentStep, "inputs">; readonly cache: CacheShape },
  R: number,
  positions: number,
): Parameters<DeviceResidentStep["setState"]>[0] {
  const S = Math.max(1, positions);
  const half = run.inputs.find(({ name }) => name === "keys/0")?.dtype === "float16";
  const empty = (...shape: number[]): StepTensor[] => {
    const size = shape.reduce((product, each) => product * each, 1);
    return Array.from({ length: layers }, () =>
      half
        ? { dtype: "float16", shape, data: new Uint16Array(size) }
        : { dtype: "float32", shape, data: new Float32Array(size) },
    );
  };
  return {
    mask: { dtype: "float32", shape: [R, S], data: new Float32Array(R * S).fill(MASK_VALUE) },
    keys: empty(R, heads, S, headDim),
    values: empty(R, heads, S, headDim),
  };
}
