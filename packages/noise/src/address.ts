import { TensorARError } from "@tensorar/core";
import { expectInteger } from "./checks";

/** Most indices an address may hold. */
const MAX_INDICES = 2;
export const MAX_UINT32 = 0xffff_ffff;

/**
 * Where a stream of random numbers lies in the space of Philox inputs. Block `b` of a stream is
 * `philox4x32([b, index0, index1, counter3], [key0, key1])`, so streams of different addresses share no block.
 */
export interface StreamAddress {
  readonly key0: number;
  readonly key1: number;
  readonly index0: number;
  readonly index1: number;
  readonly counter3: number;
}

/**
 * Maps `(seed, name, ...indices)` to its place.
 *
 * The seed's low word is one key word; the name and the number of indices, hashed to 64 bits, are the other key
 * word (together with the seed's high bits) and the last counter word; the indices are counter words as they are.
 *
 * @param seed integer in `[0, 2^53)`
 * @param name what the numbers are for, such as `"corrupt"`; not empty
 * @param indices up to two integers in `[0, 2^32)`
 * @throws TensorARError when one is out of range
 */
export function streamAddress(where: string, seed: number, name: string, indices: readonly number[]): StreamAddress {
  expectInteger(where, "seed", seed, 0, Number.MAX_SAFE_INTEGER);
  if (name === "") throw new TensorARError(`${where}: name is empty; name what the random numbers are for`);
  if (indices.length > MAX_INDICES) {
    throw new TensorARError(`${where}: ${indices.length} indices were given; at most ${MAX_INDICES} fit an address`);
  }
  indices.forEach((index, i) => {
    expectInteger(where, `index ${i}`, index, 0, MAX_UINT32);
  });
  const [hash0, hash1] = hash64(`${indices.length}/${name}`);
  const seedHigh = Math.floor(seed / 2 ** 32);
  return {
    key0: seed % 2 ** 32,
    key1: (hash0 ^ seedHigh) >>> 0,
    index0: indices[0] ?? 0,
    index1: indices[1] ?? 0,
    counter3: hash1,
  };
}

/** 64-bit hash of the UTF-16 units of `text` as two words: two multiplicative hashes, each ended by murmur3's mixer. */
function hash64(text: string): [number, number] {
  let a = 0x811c9dc5;
  let b = 0x41c6ce57;
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i);
    a = Math.imul(a ^ unit, 0x01000193);
    b = Math.imul(b ^ unit, 0x5f356495);
  }
  return [mix(a), mix(b)];
}

/** The 32-bit finalizer of murmur3: a bijection in which every input bit reaches every output bit. */
function mix(word: number): number {
  let z = word;
  z = Math.imul(z ^ (z >>> 16), 0x85ebca6b);
  z = Math.imul(z ^ (z >>> 13), 0xc2b2ae35);
  return (z ^ (z >>> 16)) >>> 0;
}
