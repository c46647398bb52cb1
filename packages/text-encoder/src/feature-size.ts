import { ShapeError } from "@tensorar/core";
import type { TextEncoderDescription } from "./description";
import { TOKEN_ENCODERS } from "./token-encoder";

/** Sizes of a text's features [T, D]. */
export interface FeatureSize {
  /** T */
  readonly maxLength: number;
  /** D */
  readonly width: number;
}

/**
 * The size of what a described encoder makes of a text.
 * @throws TensorARError when its configuration describes no encoder
 */
export function featureSize(description: TextEncoderDescription): FeatureSize {
  const { kind, encoder, maxLength } = description;
  return { maxLength, width: kind === "onnx" ? encoder.width : TOKEN_ENCODERS[kind](encoder).width };
}

/**
 * Checks that an image model takes what a text encoder makes.
 * @param encoderDir where the encoder is from, for the error
 * @throws ShapeError where the sizes differ
 */
export function expectFeatureSize(encoderDir: string, encoder: FeatureSize, model: FeatureSize): void {
  if (encoder.maxLength === model.maxLength && encoder.width === model.width) return;
  const sizes = ({ maxLength, width }: FeatureSize) => `${maxLength} positions of width ${width}`;
  throw new ShapeError(
    `${encoderDir} makes features of ${sizes(encoder)}, but the model takes ${sizes(model)}; ` +
      "give the text encoder that the model was trained with",
  );
}
