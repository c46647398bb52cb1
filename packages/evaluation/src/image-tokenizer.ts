/** A tokenizer made ready to run, as far as evaluation needs it. */
export interface ImageTokenizer {
  /** V */
  readonly codebookSize: number;
  /** Rows and columns of codes. */
  readonly grid: readonly [number, number];
  /** uint8 [N, S, S, 3] → codes [N, T] */
  encode(pixels: Uint8Array): Promise<Int32Array>;
  /** codes [N, T] → uint8 [N, S, S, 3], at the tokenizer's size or resized to another */
  decode(codes: Int32Array, size?: number): Promise<Uint8Array>;
  /** uint8 [N, S, S, 3] → features of each image, [N, dims] */
  features(pixels: Uint8Array): Promise<{ data: Float32Array; dims: number }>;
}
