import { TensorARError } from "@tensorar/core";
import { MAX_UINT32, type StreamAddress, streamAddress } from "./address";
import { expectInteger } from "./checks";
import { multiplyHigh, philoxInto } from "./philox";

/** An endless sequence of random numbers; every call takes the next ones. */
export interface RandomStream {
  /** Integer in `[0, 2^32)`. */
  uint32(): number;
  /** Multiple of `2^-32` in `[0, 1)`, exact as a double. */
  uniform(): number;
  /** Standard normal (Box-Muller, two per pair of words); `|value|` stays below 6.67. */
  normal(): number;
  /** Integer in `[0, n)`, without bias; `n` is an integer in `[1, 2^32)`. */
  below(n: number): number;
}

const WORDS_PER_BLOCK = 4;

/**
 * The stream of random numbers at an address. The same address gives the same numbers whatever ran before, in any
 * process, and streams of different addresses do not overlap.
 *
 * @param seed integer in `[0, 2^53)`: the seed of the whole run
 * @param name what the numbers are for; different names are different streams
 * @param indices up to two integers in `[0, 2^32)`, for example step and sample
 * @throws TensorARError when an argument is out of range, or after `2^34` words
 */
export function createStream(seed: number, name: string, ...indices: number[]): RandomStream {
  const address = streamAddress("createStream", seed, name, indices);
  const uint32 = wordReader(address);
  let spareNormal: number | undefined;

  const uniform = () => uint32() / 2 ** 32;

  const normal = () => {
    if (spareNormal !== undefined) {
      const value = spareNormal;
      spareNormal = undefined;
      return value;
    }
    const radius = Math.sqrt(-2 * Math.log((uint32() + 1) / 2 ** 32)); // the argument is in (0, 1]
    const angle = 2 * Math.PI * uniform();
    spareNormal = radius * Math.sin(angle);
    return radius * Math.cos(angle);
  };

  const below = (n: number) => {
    expectInteger("below", "n", n, 1, MAX_UINT32);
    for (;;) {
      const code = scaleWord(uint32(), n);
      if (code >= 0) return code;
    }
  };

  return { uint32, uniform, normal, below };
}

/**
 * Maps a random word to `[0, n)`, or to -1 for the few words that would make some results likelier than others.
 * Source: Lemire, "Fast Random Integer Generation in an Interval", 2019.
 */
export function scaleWord(word: number, n: number): number {
  const low = Math.imul(word, n) >>> 0;
  if (low < n && low < (2 ** 32 - n) % n) return -1;
  return multiplyHigh(word, n) >>> 0;
}

/**
 * Fills `out` with random words: `out[i]` is word i of `createStream(seed, name, ...indices)`, an integer in `[0, 2^32)`.
 * @throws TensorARError when an argument is out of range
 */
export function fillWords(out: Uint32Array, seed: number, name: string, ...indices: number[]): void {
  const { key0, key1, index0, index1, counter3 } = streamAddress("fillWords", seed, name, indices);
  const whole = out.length - (out.length % WORDS_PER_BLOCK);
  for (let i = 0; i < whole; i += WORDS_PER_BLOCK)
    philoxInto(out, i, i / WORDS_PER_BLOCK, index0, index1, counter3, key0, key1);
  if (whole === out.length) return;
  const words = new Uint32Array(WORDS_PER_BLOCK);
  philoxInto(words, 0, whole / WORDS_PER_BLOCK, index0, index1, counter3, key0, key1);
  out.set(words.subarray(0, out.length - whole), whole);
}

/**
 * Fills `out` with uniform numbers in `[0, 1)`: multiples of `2^-24`, which float32 holds exactly.
 * `out[i]` is the upper 24 bits of word `i` of `createStream(seed, name, ...indices)`.
 */
export function fillUniform(out: Float32Array, seed: number, name: string, ...indices: number[]): void {
  const { key0, key1, index0, index1, counter3 } = streamAddress("fillUniform", seed, name, indices);
  const words = new Uint32Array(WORDS_PER_BLOCK);
  for (let i = 0; i < out.length; i++) {
    const position = i % WORDS_PER_BLOCK;
    if (position === 0) philoxInto(words, 0, i / WORDS_PER_BLOCK, index0, index1, counter3, key0, key1);
    out[i] = (words[position]! >>> 8) / 2 ** 24;
  }
}

/** A uniformly random order of `0 … n-1` (Fisher-Yates), from the stream at this address. */
export function permutation(n: number, seed: number, name: string, ...indices: number[]): Int32Array {
  expectInteger("permutation", "n", n, 0, 2 ** 31 - 1);
  const stream = createStream(seed, name, ...indices);
  const order = Int32Array.from({ length: n }, (_, i) => i);
  for (let i = n - 1; i > 0; i--) {
    const j = stream.below(i + 1);
    const kept = order[i]!;
    order[i] = order[j]!;
    order[j] = kept;
  }
  return order;
}

/** Reads the words of a stream one after another. */
function wordReader({ key0, key1, index0, index1, counter3 }: StreamAddress): () => number {
  const words = new Uint32Array(WORDS_PER_BLOCK);
  let block = 0;
  let position = WORDS_PER_BLOCK;
  return () => {
    if (position === WORDS_PER_BLOCK) {
      if (block > MAX_UINT32) {
        throw new TensorARError("RandomStream: all 2^34 words of this address were used; add an index to the address");
      }
      philoxInto(words, 0, block++, index0, index1, counter3, key0, key1);
      position = 0;
    }
    return words[position++]!;
  };
}
