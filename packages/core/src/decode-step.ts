// What the parts of a generation loop say to each other, declared once for tensors on a backend, on the host, and for their specs.
// B batch · L positions · k window · S positions of the cache · H key heads · Dh head width · D width · V codes

/**
 * What one decode step takes.
 * @typeParam T a tensor, or what stands for one: its data on the host, its spec
 * @typeParam C a condition: one T, or several by name
 */
export type DecodeInputs<T, C = T> = {
  /** As the model takes it: int32 [B] for classes. */
  readonly condition: C;
  /** int32 [B, k]: the token window before this position, PAD = -1 past the end; anything at position 0. */
  readonly window: T;
  /**
   * int32 [1]: the position in the whole sequence. With one condition position 0 … T-1, and position 0 is the condition's; else
   * C … C+T-2.
   */
  readonly position: T;
  /** float32 [B, S]: 0 where a position of the cache is filled, {@link MASK_VALUE} where not. */
  readonly mask: T;
  /** float32 [B, H, S, Dh], one per layer. */
  readonly keys: readonly T[];
  /** float32 [B, H, S, Dh], one per layer. */
  readonly values: readonly T[];
};

/** As {@link DecodeInputs}, for several positions in a row, which may be others for each image. */
export type DecodePositionsInputs<T, C = T> = Omit<DecodeInputs<T, C>, "window" | "position"> & {
  /** int32 [B, L, k] */
  readonly windows: T;
  /** int32 [B, L], those of an image in order */
  readonly positions: T;
};

/** What a step takes that predicts the next sub-tokens of tokens, or the next entry of tensors, whose first ones are known. */
export type FactorInputs<T> = {
  /** float32 [B, k, D], as the decode step returned them */
  readonly states: T;
  /** int32 [B, k] each: sub-tokens 0 … f-1; or int32 [B] each: entries 0 … j-1 */
  readonly known: readonly T[];
};

/** What is added to the attention scores of a position that must not be read: finite, so that a row of nothing else is no NaN. */
export const MASK_VALUE = -1e9;
