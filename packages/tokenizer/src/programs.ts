import type { TensorSpec } from "@tensorar/core";
import { float32, int32, type Program } from "@tensorar/program";
import type * as tf from "@tensorflow/tfjs-core";
import type { Params } from "./parameters";
import type { Tokenizer } from "./tokenizer";

/** What a tokenizer does for images of one size, any number of them. */
export interface TokenizerPrograms {
  /** float32 [N, S, S, channels] in [-1, 1] → int32 [N, h·w] */
  readonly encode: Program<{ readonly images: TensorSpec }, { readonly codes: tf.Tensor }>;
  /** int32 [N, h·w] → float32 [N, S, S, channels] in [-1, 1] */
  readonly decode: Program<{ readonly codes: TensorSpec }, { readonly images: tf.Tensor }>;
}

/**
 * The programs of a tokenizer with these parameters, which are borrowed: dispose of them when no program is used any more.
 *
 * @param imageSize S, height and width in pixels
 * @throws ShapeError where S is not a positive multiple of the tokenizer's factor
 */
export function tokenizerPrograms(tokenizer: Tokenizer, weights: Params, imageSize: number): TokenizerPrograms {
  const grid = tokenizer.gridOf(imageSize);
  return {
    encode: {
      name: "image-encoder",
      inputs: { images: float32("batch", imageSize, imageSize, tokenizer.channels) },
      weights,
      run: ({ images }) => ({ codes: tokenizer.encode(weights, images as tf.Tensor4D).codes }),
    },
    decode: {
      name: "image-decoder",
      inputs: { codes: int32("batch", grid[0] * grid[1]) },
      weights,
      run: ({ codes }) => ({ images: tokenizer.decode(weights, codes as tf.Tensor2D, grid) }),
    },
  };
}
