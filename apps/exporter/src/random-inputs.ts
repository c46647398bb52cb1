import { MASK_VALUE, type TensorData, type TensorSpec } from "@tensorar/core";
import { conditionOf, ONLY } from "@tensorar/manifest";
import { type ConditionSpecs, decodeSpecs, factorSpecs } from "@tensorar/model";
import { createStream, PAD, type RandomStream } from "@tensorar/noise";
import { int32 } from "@tensorar/program";
import type { SourceSizes } from "./sources";

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

/** Random conditions: any class or text token; the first positions of every other row may be padding. */
function condition(sizes: SourceSizes, spec: ConditionSpecs, symbols: Symbols, random: RandomStream) {
  const part = (name: string, each: TensorSpec): TensorData => {
    const { below } = sizes.condition[name]!;
    const positions = each.shape.at(-1)!;
    const length = typeof positions === "string" ? symbols[positions]! : positions;
    if (name === "mask")
      return fill(each, symbols, (i) => (Math.floor(i / length) % 2 === 1 && i % length < length / 3 ? 0 : 1));
    return fill(each, symbols, () => (below === undefined ? random.normal() : random.below(below)));
  };
  if (isSpec(spec)) return part(ONLY, spec);
  return Object.fromEntries(Object.entries(spec).map(([name, each]) => [name, part(name, each)]));
}

const isSpec = (spec: ConditionSpecs): spec is TensorSpec => typeof spec.dtype === "string";

type Symbols = Readonly<Record<string, number>>;

/** Tokens of prompts, whose length is free. */
const PROMPT = 5;

/**
 * Random inputs of the decoder step that makes token `token` final, as generation gives them: real codes, PAD past the
 * last token and before the first, any condition, the positions before it filled. The cache holds two positions more, which the
 * mask hides. The first step is that of the condition's own positions.
 */
export function decoderInputs(sizes: SourceSizes, batch: number, token: number, seed: number) {
  const { vocabSize, tokens, windowSize, conditionPositions } = sizes;
  const specs = decodeSpecs({ ...sizes, condition: conditionOf(sizes) });
  const random = createStream(seed, "decoder-inputs", batch, token);
  const position = token === 0 ? 0 : (conditionPositions ?? PROMPT) - 1 + token; // position of the whole sequence
  const positions = position + 2;
  const symbols = { batch, positions, prompt: PROMPT };
  const normal = (spec: TensorSpec) => fill(spec, symbols, () => random.normal());
  return {
    condition: condition(sizes, specs.condition, symbols, random),
    window: fill(specs.window, symbols, (i) =>
      token === 0 || token - 1 + (i % windowSize) >= tokens ? PAD : random.below(vocabSize),
    ),
    position: fill(specs.position, symbols, () => position),
    mask: fill(specs.mask, symbols, (i) => (i % positions < position ? 0 : MASK_VALUE)),
    keys: specs.keys.map(normal),
    values: specs.values.map(normal),
  };
}

/** Random states and first sub-tokens. */
export function factorRandom(sizes: SourceSizes, batch: number, seed: number) {
  const random = createStream(seed, "factor-inputs", batch);
  const specs = factorSpecs(sizes.windowSize, sizes.stateWidth, 1);
  return {
    states: fill(specs.states, { batch }, () => random.normal()),
    known: specs.known.map((spec) => fill(spec, { batch }, () => random.below(sizes.factors![0]!))),
  };
}

/** Random codes for the image decoder. */
export function imageInputs(sizes: SourceSizes, batch: number, seed: number) {
  const random = createStream(seed, "image-inputs", batch);
  return { codes: fill(int32("batch", sizes.tokens), { batch }, () => random.below(sizes.vocabSize)) };
}
