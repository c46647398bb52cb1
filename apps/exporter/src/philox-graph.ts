import { streamAddress } from "@tensorar/noise";
import * as tf from "@tensorflow/tfjs-core";

// The random numbers of `generate` of @tensorar/sampler as tensors: Philox4x32-10 (Salmon et al. 2011) on words that are kept as
// two halves of 16 bits, since int32 holds neither 32 unsigned bits nor products of them.

/** A 32-bit word: int32 tensors in [0, 2^16). */
interface Word {
  readonly high: tf.Tensor;
  readonly low: tf.Tensor;
}

const ROUNDS = 10;
const MULTIPLIERS = [0xd2511f53, 0xcd9e8d57] as const;
const WEYL = [0x9e3779b9, 0xbb67ae85] as const;
const WORDS = 4;

const int = (value: number): tf.Tensor => tf.scalar(value, "int32");
const quotient = (x: tf.Tensor, by: number): tf.Tensor => tf.floorDiv(x, int(by));
const remainder = (x: tf.Tensor, by: number): tf.Tensor => tf.sub(x, tf.mul(quotient(x, by), int(by)));
const HALF = 2 ** 16;

/** 16 bits times a constant of 16 bits, by way of its bytes: every product stays below 2^24. */
function timesHalf(x: tf.Tensor, constant: number): Word {
  const low = tf.mul(x, int(constant % 256));
  const high = tf.mul(x, int(Math.floor(constant / 256)));
  const sum = tf.add(low, tf.mul(remainder(high, 256), int(256)));
  return { high: tf.add(quotient(sum, HALF), quotient(high, 256)), low: remainder(sum, HALF) };
}

/** The 64-bit product of a word and a constant, as two words. */
function times({ high, low }: Word, constant: number): { readonly high: Word; readonly low: Word } {
  const [constantHigh, constantLow] = [Math.floor(constant / HALF), constant % HALF];
  const [ll, lh] = [timesHalf(low, constantLow), timesHalf(low, constantHigh)];
  const [hl, hh] = [timesHalf(high, constantLow), timesHalf(high, constantHigh)];
  const second = tf.add(tf.add(ll.high, lh.low), hl.low);
  const third = tf.add(tf.add(tf.add(lh.high, hl.high), hh.low), quotient(second, HALF));
  const fourth = tf.add(hh.high, quotient(third, HALF)); // the product has no fifth half
  return { low: { high: remainder(second, HALF), low: ll.low }, high: { high: fourth, low: remainder(third, HALF) } };
}

const xorHalf = (a: tf.Tensor, b: tf.Tensor): tf.Tensor => tf.sub(tf.add(a, b), tf.mul(tf.bitwiseAnd(a, b), int(2)));
const xor = (a: Word, b: Word): Word => ({ high: xorHalf(a.high, b.high), low: xorHalf(a.low, b.low) });

function plus({ high, low }: Word, constant: number): Word {
  const sum = tf.add(low, int(constant % HALF));
  const carried = tf.add(tf.add(high, int(Math.floor(constant / HALF))), quotient(sum, HALF));
  return { high: remainder(carried, HALF), low: remainder(sum, HALF) };
}

/** Four random words for each counter and key, all of one shape. */
function philox(counter: readonly [Word, Word, Word, Word], key: readonly [Word, Word]): Word[] {
  let [c0, c1, c2, c3] = counter;
  let [k0, k1] = key;
  for (let round = 0; round < ROUNDS; round++) {
    const [first, second] = [times(c0, MULTIPLIERS[0]), times(c2, MULTIPLIERS[1])];
    [c0, c1, c2, c3] = [xor(xor(second.high, c1), k0), second.low, xor(xor(first.high, c3), k1), first.low];
    [k0, k1] = [plus(k0, WEYL[0]), plus(k1, WEYL[1])];
  }
  return [c0, c1, c2, c3];
}

/**
 * The uniform numbers that `generate` draws tokens and drafts with, cut to 24 bits: one for the final token of each position
 * and one for each draft made there. Traceable.
 *
 * @param seed int32 [B], 0 or more
 * @param index int32 [B]: images of their runs
 * @returns float32 [B, T, k] in [0, 1)
 */
export function generationUniforms(seed: tf.Tensor, index: tf.Tensor, tokens: number, windowSize: number): tf.Tensor {
  // Streams, side by side on the last axis: that of the final token, and as many blocks as the drafts need.
  const blocks = Math.ceil((windowSize - 1) / WORDS);
  const streams = [
    { purpose: "token", block: 0 },
    ...Array.from({ length: blocks }, (_, block) => ({ purpose: "draft", block })),
  ].map(({ purpose, block }) => ({ block, ...streamAddress("generationUniforms", 0, purpose, [0, 0]) }));
  const zero = tf.add(tf.reshape(tf.mul(seed, int(0)), [-1, 1, 1]), tf.zeros([1, tokens, streams.length], "int32")); // [B, T, streams]
  const spread = (x: tf.Tensor): tf.Tensor => tf.add(zero, x);
  const word = (x: tf.Tensor): Word => ({ high: spread(quotient(x, HALF)), low: spread(remainder(x, HALF)) });
  const constants = (values: readonly number[]): Word => {
    const halves = (of: (value: number) => number) =>
      spread(tf.tensor3d(values.map(of), [1, 1, values.length], "int32"));
    return { high: halves((value) => Math.floor(value / HALF)), low: halves((value) => value % HALF) };
  };
  const words = philox(
    [
      constants(streams.map(({ block }) => block)),
      word(tf.reshape(index, [-1, 1, 1])),
      word(tf.reshape(tf.range(0, tokens, 1, "int32"), [1, -1, 1])),
      constants(streams.map(({ counter3 }) => counter3)),
    ],
    [word(tf.reshape(seed, [-1, 1, 1])), constants(streams.map(({ key1 }) => key1))],
  ).map(({ high, low }) => tf.div(tf.cast(tf.add(tf.mul(high, int(256)), quotient(low, 256)), "float32"), 2 ** 24));
  const all = tf.stack(words, 3); // [B, T, streams, 4]: the words of a stream in order
  const [first, ...rest] = tf.unstack(all, 2) as [tf.Tensor, ...tf.Tensor[]]; // [B, T, 4]
  const final = tf.slice(first, [0, 0, 0], [-1, -1, 1]);
  if (windowSize === 1) return final;
  const drafts = tf.slice(tf.concat(rest, 2), [0, 0, 0], [-1, -1, windowSize - 1]);
  return tf.concat([final, drafts], 2); // [B, T, k]
}
