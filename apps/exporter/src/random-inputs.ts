import type { TensorData } from "@tensorar/checkpoint";
import { createStream, PAD } from "@tensorar/noise";
import type { TensorSpec } from "@tensorar/onnx";
import { codeInputs, stepInputs } from "./functions";
import type { SourceSizes } from "./sources";

const HIDDEN = -1e9;

/** A tensor of this type and shape: symbolic sizes from `sizes`, elements from `draw` in row-major order. */
function fill(
  { dtype, shape }: TensorSpec,
  sizes: Readonly<Record<string, number>>,
  draw: (i: number) => number,
): TensorData {
  const whole = shape.map((size) => (typeof size === "string" ? sizes[size]! : size));
  const length = whole.reduce((product, size) => product * size, 1);
  const data = dtype === "int32" ? new Int32Array(length) : new Float32Array(length);
  for (let i = 0; i < length; i++) data[i] = draw(i);
  return { dtype, shape: whole, data };
}

/**
 * Random inputs of the decoder step at `position`, as generation gives them: real codes, PAD past the last token and
 * before the first, any class, the slots before it filled. The cache holds two slots more, which the mask hides.
 */
export function decoderInputs(sizes: SourceSizes, batch: number, position: number, seed: number) {
  const { vocabSize, tokens, windowSize, conditionSlots, nullCondition, classes } = sizes;
  const specs = stepInputs(sizes);
  const random = createStream(seed, "decoder-inputs", batch, position);
  const slots = position + 2;
  const symbols = { batch, slots };
  const normal = (spec: TensorSpec) => fill(spec, symbols, () => random.normal());
  const conditions = nullCondition >= 0 ? nullCondition + 1 : Math.max(1, classes.length);
  const firstToken = position - conditionSlots; // of the previous tensor
  return {
    condition: fill(specs.condition, symbols, () => random.below(conditions)),
    window: fill(specs.window, symbols, (i) =>
      position === 0 || firstToken + (i % windowSize) >= tokens ? PAD : random.below(vocabSize),
    ),
    position: fill(specs.position, symbols, () => position),
    mask: fill(specs.mask, symbols, (i) => (i % slots < position ? 0 : HIDDEN)),
    keys: specs.keys.map(normal),
    values: specs.values.map(normal),
  };
}

/** Random codes for the image decoder. */
export function imageInputs(sizes: SourceSizes, batch: number, seed: number) {
  const random = createStream(seed, "image-inputs", batch);
  return { codes: fill(codeInputs(sizes).codes, { batch }, () => random.below(sizes.vocabSize)) };
}
