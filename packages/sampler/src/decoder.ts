// N images · R rows, N or 2N with guidance · T tokens · k window · V codes

/** A model as the generation loop sees it: any autoregressive model that predicts k tokens a step. */
export interface Decoder {
  /** T */
  readonly tokens: number;
  /** k; 1 for a model without TensorAR */
  readonly windowSize: number;
  /** V */
  readonly vocabSize: number;
  /** Condition that stands for "none" in classifier-free guidance. */
  readonly nullCondition: number;
  /** Begins one batch. @param conditions [R] */
  start(conditions: Int32Array): DecodeSession;
}

/** One batch in progress; owns its cache. */
export interface DecodeSession {
  /**
   * Predicts the next k tokens of every row. The loop calls it T times.
   * @param windows [R, k]: the previous tensor of every row, PAD past the image's end; ignored at the first call
   * @returns logits [R, k, V]; valid until the next call
   */
  step(windows: Int32Array): Promise<Float32Array>;
}
