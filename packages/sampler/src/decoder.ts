// N images · R rows, N or 2N with guidance · T tokens · k window · V codes

/**
 * A model as the generation loop sees it: any autoregressive model that predicts k tokens a step. A condition `C` is a
 * class number, or whatever else the model takes for one image.
 */
export interface Decoder<C = number> {
  /** T */
  readonly tokens: number;
  /** k; 1 for a model without TensorAR */
  readonly windowSize: number;
  /** V */
  readonly vocabSize: number;
  /**
   * V_0, V_1, … where a token consists of sub-tokens, each predicted given the ones before it: their product is V, and a
   * code is `c_0 + c_1 · V_0 + c_2 · V_0 · V_1 + …`.
   */
  readonly factors?: readonly number[];
  /** Whether entries of a tensor are drawn one after the other, each given those before: a session has `nextEntry`. */
  readonly chained?: boolean;
  /** What stands for "none" beside this condition in classifier-free guidance. */
  unconditional(condition: C): C;
  /** Begins one batch. @param conditions one for each row */
  start(conditions: ArrayLike<C>): DecodeSession;
}

/** One batch in progress; owns its cache. */
export interface DecodeSession {
  /**
   * Predicts the next k tokens of every row. The loop calls it T times.
   * @param windows [R, k]: the previous tensor of every row, PAD past the image's end; ignored at the first call
   * @returns logits [R, k, V], with factors those of the first sub-tokens, [R, k, V_0], of chained decoders those of entry 0,
   *   [R, V]; valid until the next call
   */
  step(windows: Int32Array): Promise<Float32Array>;
  /**
   * With factors: predicts the next sub-tokens of what `step` or `verify` predicted.
   * @param known [R, k] each, or [R, L, k]: sub-tokens 0 … f-1
   * @returns logits [R, k, V_f], or [R, L, k, V_f]; valid until the next call
   */
  nextSubToken?(known: readonly Int32Array[]): Promise<Float32Array>;
  /**
   * Of chained decoders: predicts the next entry of what `step` or `verify` predicted.
   * @param known [R] each, or [R, L]: entries 0 … j-1
   * @returns logits [R, V], or [R, L, V]; valid until the next call
   */
  nextEntry?(known: readonly Int32Array[]): Promise<Float32Array>;
  /**
   * Predicts after each of L tensors in a row, of which all but the first may be drafts: of every row, what follows those that
   * are committed. Not for the first step. Followed by `commit`.
   * @param windows [R, L, k]; tensors past an image's last one hold any codes
   * @returns logits [R, L, k, V], with factors those of the first sub-tokens, of chained decoders [R, L, V]; valid until the next call
   */
  verify?(windows: Int32Array): Promise<Float32Array>;
  /** Makes the first tensors of the last `verify` part of each row's sequence and forgets the others. @param counts [R] */
  commit?(counts: Int32Array): void;
}
