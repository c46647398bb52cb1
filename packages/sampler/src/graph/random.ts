import { streamAddress } from "@tensorar/noise";
import * as tf from "@tensorflow/tfjs-core";
import { streamName } from "../random";

// The random numbers of `../generate` as tensors: Philox4x32-10 (Salmon et al. 2011). A 32-bit word is kept as
// two halves of 16 bits, since int32 holds neither 32 unsigned bits nor products of them, and words that are treated alike are one
// tensor: int32 [2 halves, 2 words, …], the low half first.

const ROUNDS = 10;
const MULTIPLIERS = [0xd2511f53, 0xcd9e8d57] as const;
const WEYL = [0x9e3779b9, 0xbb67ae85] as const;
const WORDS = 4;

const int = (value: number): tf.Tensor => tf.scalar(value, "int32");
/** x ≥ 0 without its lowest bits, shifted. Numbers here have at most 24 bits, so float32 is exact; GPUs have no integer division. */
const shifted = (x: tf.Tensor, bits: number): tf.Tensor =>
  tf.cast(tf.floor(tf.mul(tf.cast(x, "float32"), 2 ** -bits)), "int32");
/** The lowest bits of x ≥ 0. WebGPU has no remainder either. */
const lowest = (x: tf.Tensor, bits: number): tf.Tensor => tf.sub(x, tf.mul(shifted(x, bits), int(2 ** bits)));
const xor = (a: tf.Tensor, b: tf.Tensor): tf.Tensor => tf.sub(tf.add(a, b), tf.mul(tf.bitwiseAnd(a, b), int(2)));

/** Numbers [outer][inner] as int32 [outer, inner, 1, …], of this rank. */
const table = (values: readonly (readonly number[])[], rank: number): tf.Tensor =>
  tf.tensor(values.flat(), [values.length, values[0]!.length, ...new Array<number>(rank - 2).fill(1)], "int32");
const halvesOf = (words: readonly number[]): number[][] => [
  words.map((word) => word % 2 ** 16),
  words.map((word) => Math.floor(word / 2 ** 16)),
];

/** Splits [n, …] into n tensors [1, …]: ranks stay as they are, since every reshape is an operator more. */
const rows = (x: tf.Tensor): tf.Tensor[] => tf.split(x, x.shape[0]!, 0);

/** Sums of halves [1, …], at most 2^18 each, carried over to the next one. */
function carry(limbs: readonly tf.Tensor[]): tf.Tensor[] {
  let carried: tf.Tensor | undefined;
  return limbs.map((limb) => {
    const sum = carried ? tf.add(limb, carried) : limb;
    carried = shifted(sum, 16);
    return lowest(sum, 16);
  });
}

/** The 64-bit products of words `[2 halves, words, …]` with a constant each: the low and the high words of them. */
function timesConstants(
  words: tf.Tensor,
  constants: readonly number[],
): { readonly low: tf.Tensor; readonly high: tf.Tensor } {
  // Every half times every byte of the constant stays below 2^24. Of both halves with both of the constant: [4, words, …]
  const [first, second] = rows(words) as [tf.Tensor, tf.Tensor];
  const x = tf.concat([first, first, second, second], 0);
  const byByte = (byte: number): tf.Tensor => {
    const bytes = halvesOf(constants).map((halves) => halves.map((half) => Math.floor(half / 256 ** byte) % 256));
    return tf.mul(x, table([...bytes, ...bytes], words.rank));
  };
  const [even, odd] = [byByte(0), byByte(1)]; // the second counts 2^8 times as much
  const [ll, lh, hl, hh] = rows(tf.add(lowest(even, 16), tf.mul(lowest(odd, 8), int(256)))) as Four;
  const [LL, LH, HL, HH] = rows(tf.add(shifted(even, 16), shifted(odd, 8))) as Four;
  const limbs = carry([ll, tf.add(LL, tf.add(lh, hl)), tf.add(hh, tf.add(LH, HL)), HH]);
  return { low: tf.concat(limbs.slice(0, 2), 0), high: tf.concat(limbs.slice(2), 0) };
}

type Four = [tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor];

/** Sums of both words with their constants, modulo 2^32. */
const plusConstants = (words: tf.Tensor, constants: readonly number[]): tf.Tensor =>
  tf.concat(carry(rows(tf.add(words, table(halvesOf(constants), words.rank)))), 0);

/**
 * Four random words for each counter and key.
 * @param even words 0 and 2 of the counters, [2, 2, …]
 * @param odd words 1 and 3 of them
 * @param key [2, 2, …]
 * @returns the same of the results
 */
function philox(
  even: tf.Tensor,
  odd: tf.Tensor,
  key: tf.Tensor,
): { readonly even: tf.Tensor; readonly odd: tf.Tensor } {
  let state = { even, odd };
  let roundKey = key;
  for (let round = 0; round < ROUNDS; round++) {
    if (round > 0) roundKey = plusConstants(roundKey, WEYL);
    const { low, high } = timesConstants(state.even, MULTIPLIERS);
    const swap = (x: tf.Tensor) => tf.reverse(x, 1);
    state = { even: xor(xor(swap(high), state.odd), roundKey), odd: swap(low) };
  }
  return state;
}

/** A block of four words of the stream of this name, at each position. */
interface Block {
  readonly name: string;
  /** Its number in the stream. */
  readonly block: number;
}

/** Words by their halves. */
interface Words {
  readonly low: tf.Tensor;
  readonly high: tf.Tensor;
}

/**
 * Halves of the words of these blocks, for every image and position: int32 [4, B, P, blocks] each.
 * @param positions int32 [P]
 */
function randomWords(seed: tf.Tensor, index: tf.Tensor, positions: tf.Tensor, blocks: readonly Block[]): Words {
  const streams = blocks.map(({ name, block }) => ({ block, ...streamAddress("randomWords", 0, name, [0, 0]) }));
  const tokens = positions.shape[0]!;
  const shape = [1, tokens, streams.length];
  const zero = tf.add(tf.reshape(tf.mul(seed, int(0)), [-1, 1, 1]), tf.zeros(shape, "int32")); // [B, T, blocks]
  /** Numbers below 2^31 as a word: [2, B, T, blocks] */
  const word = (x: tf.Tensor): tf.Tensor => tf.stack([tf.add(zero, lowest(x, 16)), tf.add(zero, shifted(x, 16))]);
  const constants = (values: readonly number[]): tf.Tensor =>
    tf.stack(halvesOf(values).map((halves) => tf.add(zero, tf.tensor3d(halves, [1, 1, values.length], "int32"))));
  const results = philox(
    tf.stack([constants(streams.map(({ block }) => block)), word(tf.reshape(positions, [1, -1, 1]))], 1),
    tf.stack([word(tf.reshape(index, [-1, 1, 1])), constants(streams.map(({ counter3 }) => counter3))], 1),
    tf.stack([word(tf.reshape(seed, [-1, 1, 1])), constants(streams.map(({ key1 }) => key1))], 1),
  );
  const words = tf.stack([results.even, results.odd], 2); // [2, 2, 2, B, T, blocks]: words 0, 1, 2, 3
  const [low, high] = tf.unstack(tf.reshape(words, [2, WORDS, -1, tokens, streams.length])) as [tf.Tensor, tf.Tensor];
  return { low, high };
}

const allPositions = (tokens: number): tf.Tensor => tf.range(0, tokens, 1, "int32");

/** Uniform numbers in [0, 1) of words given by their halves, cut to 24 bits. */
function uniformsOf({ low, high }: Words): tf.Tensor {
  const bits = tf.add(tf.mul(high, int(256)), shifted(low, 8)); // the highest 24
  return tf.mul(tf.cast(bits, "float32"), 2 ** -24);
}

/** Which random numbers are wanted. */
export interface NumberSizes {
  readonly tokens: number;
  readonly windowSize: number;
  /** Sub-tokens of a token, 1 where there are none: those that codes are drawn with. */
  readonly factors?: number | undefined;
  /** V: those that replace drafts. */
  readonly noiseCodes?: number | undefined;
}

/** Random numbers of all of generation. */
export interface GenerationNumbers {
  /**
   * Those that `generate` draws tokens and drafts with, cut to 24 bits: for each sub-token, or for the whole token, one for the final
   * one of each position and one for each draft made there. float32 [B, T, factors · k] in [0, 1)
   */
  readonly uniforms?: tf.Tensor;
  /**
   * What it replaces drafts by: for each draft that is fed back, the number that says whether, cut to 24 bits, and the code. float32
   * and int32 [B, T, k-1]
   */
  readonly noise?: { readonly chances: tf.Tensor; readonly codes: tf.Tensor };
}

/**
 * The random numbers of generation that do not depend on what is drawn. Made together: the rounds of the generator are the larger part
 * of a graph's operators. Traceable.
 *
 * @param seed int32 [B], 0 or more
 * @param index int32 [B]: images of their runs
 */
export function generationNumbers(seed: tf.Tensor, index: tf.Tensor, sizes: NumberSizes): GenerationNumbers {
  const { tokens, factors, noiseCodes } = sizes;
  const drawing = factors === undefined ? [] : drawBlocks(sizes.windowSize, factors);
  const noise = noiseCodes === undefined ? [] : noiseBlocks(sizes.windowSize);
  if (drawing.length + noise.length === 0) return {};
  const words = randomWords(seed, index, allPositions(tokens), [...drawing, ...noise]); // [4, B, T, blocks]
  const part = (x: tf.Tensor, which: number): tf.Tensor => tf.split(x, [drawing.length, noise.length], 3)[which]!;
  const both = drawing.length > 0 && noise.length > 0;
  const wordsOf = (which: number): Words =>
    both ? { low: part(words.low, which), high: part(words.high, which) } : words;
  return {
    ...(factors !== undefined && { uniforms: drawUniforms(wordsOf(0), sizes.windowSize, factors) }),
    ...(noiseCodes !== undefined && { noise: draftNoise(wordsOf(1), sizes, noiseCodes) }),
  };
}

const draftBlocks = (windowSize: number): number => Math.ceil((windowSize - 1) / WORDS);

/** Of each factor: the stream of the final token, and as many blocks as the drafts need. */
const drawBlocks = (windowSize: number, factors: number): Block[] =>
  Array.from({ length: factors }, (_, factor) => [
    { name: streamName("token", factor), block: 0 },
    ...Array.from({ length: draftBlocks(windowSize) }, (_, block) => ({ name: streamName("draft", factor), block })),
  ]).flat();

/** Two words for each draft that is fed back. */
const noiseBlocks = (windowSize: number): Block[] =>
  Array.from({ length: Math.ceil((2 * (windowSize - 1)) / WORDS) }, (_, block) => ({ name: "draft-noise", block }));

/** @param words of {@link drawBlocks} */
function drawUniforms(words: Words, windowSize: number, factors: number): tf.Tensor {
  const blocks = 1 + draftBlocks(windowSize);
  const all = tf.unstack(tf.transpose(uniformsOf(words), [3, 1, 2, 0])); // [B, T, 4] each: the words of a block in order
  const parts = Array.from({ length: factors }, (_, factor) => {
    const [first, ...rest] = all.slice(factor * blocks, (factor + 1) * blocks) as [tf.Tensor, ...tf.Tensor[]];
    const final = tf.slice(first, [0, 0, 0], [-1, -1, 1]);
    return rest.length === 0 ? [final] : [final, tf.slice(tf.concat(rest, 2), [0, 0, 0], [-1, -1, windowSize - 1])];
  }).flat();
  return parts.length === 1 ? parts[0]! : tf.concat(parts, 2); // [B, T, factors · k]
}

/** @param words of {@link noiseBlocks} */
function draftNoise(words: Words, { tokens, windowSize }: NumberSizes, vocabSize: number) {
  /** Of two words an entry the first or the second: [B, T, k-1] */
  const ofEntries = (x: tf.Tensor, which: number): tf.Tensor => {
    const pairs = tf.reshape(tf.transpose(x, [1, 2, 3, 0]), [-1, tokens, (x.shape[3]! * WORDS) / 2, 2]);
    return tf.squeeze(tf.slice(pairs, [0, 0, 0, which], [-1, -1, windowSize - 1, 1]), [3]);
  };
  const nth = (which: number): Words => ({ low: ofEntries(words.low, which), high: ofEntries(words.high, which) });
  const { low, high } = nth(1);
  const scaled = timesConstants(tf.expandDims(tf.stack([low, high]), 1), [vocabSize]).high; // [2, 1, B, T, k-1]
  const [below, above] = tf.unstack(tf.squeeze(scaled, [1])) as [tf.Tensor, tf.Tensor];
  return { chances: uniformsOf(nth(0)), codes: tf.add(below, tf.mul(above, int(2 ** 16))) };
}

/**
 * Gumbel numbers that `generate` draws all drafts and the final token of a position with, one for each code of a sub-token:
 * `-log E`, where E are the exponential numbers of `Categorical.race`. Traceable.
 *
 * @param seed int32 [B], 0 or more
 * @param index int32 [B]: images of their runs
 * @param positions int32 [P]
 * @param sizes.size V_f
 * @returns float32 [B, P, V_f]
 */
export function gumbels(
  seed: tf.Tensor,
  index: tf.Tensor,
  positions: tf.Tensor,
  { size, factor }: { readonly size: number; readonly factor: number },
): tf.Tensor {
  const name = streamName("gumbel", factor);
  const blocks = Array.from({ length: Math.ceil(size / WORDS) }, (_, block) => ({ name, block }));
  const { low, high } = randomWords(seed, index, positions, blocks); // [4, B, P, blocks]
  const words = tf.add(tf.mul(tf.cast(high, "float32"), 2 ** 16), tf.cast(low, "float32"));
  const uniforms = tf.mul(tf.add(words, 0.5), 2 ** -32);
  const numbers = tf.neg(tf.log(tf.neg(tf.log1p(tf.neg(uniforms)))));
  const inOrder = tf.reshape(tf.transpose(numbers, [1, 2, 3, 0]), [-1, positions.shape[0]!, blocks.length * WORDS]);
  return tf.slice(inOrder, [0, 0, 0], [-1, -1, size]);
}
