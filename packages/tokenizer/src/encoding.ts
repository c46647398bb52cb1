import type * as tf from "@tensorflow/tfjs-core";

// N images · [h, w] grid · Z channels of the encoder · e dimensions of a code · V codes

/** What every tokenizer makes of images. */
export interface Encoding {
  /** The encoder's output, before any projection, `[N, h, w, Z]`. */
  readonly features: tf.Tensor4D;
  /** The codes in raster order, int32 `[N, h·w]` in `[0, V)`. */
  readonly codes: tf.Tensor2D;
  /** The vectors of those codes, `[N, h, w, e]`; they are what the decoder reads. */
  readonly quantized: tf.Tensor4D;
}
