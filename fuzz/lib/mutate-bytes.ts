import type { Random } from "./random";

/** Sizes and offsets that overflow something. */
const HUGE = [
  0n,
  1n,
  0x7fn,
  0xffn,
  0x7fffn,
  0xffffn,
  0x7fffffffn,
  0xffffffffn,
  2n ** 53n,
  2n ** 63n - 1n,
  2n ** 64n - 1n,
];

type Change = (bytes: Buffer, random: Random, others: readonly Buffer[]) => Buffer;

const place = (bytes: Buffer, random: Random): number => {
  // Headers and directories lie at both ends.
  const region = random.oneIn(2) ? bytes.length : Math.min(bytes.length, 512);
  const at = random.below(region + 1);
  return random.oneIn(4) ? bytes.length - at : at;
};

const splice = (bytes: Buffer, at: number, removed: number, added: Uint8Array): Buffer =>
  Buffer.concat([bytes.subarray(0, at), added, bytes.subarray(at + removed)]);

const CHANGES: readonly Change[] = [
  function flipBit(bytes, random) {
    const copy = Buffer.from(bytes);
    const at = Math.min(place(bytes, random), bytes.length - 1);
    copy[at] = copy[at]! ^ (1 << random.below(8));
    return copy;
  },
  function setByte(bytes, random) {
    const copy = Buffer.from(bytes);
    copy[Math.min(place(bytes, random), bytes.length - 1)] = random.pick([0, 1, 0x7f, 0x80, 0xff, random.below(256)]);
    return copy;
  },
  function setNumber(bytes, random) {
    const width = random.pick([2, 4, 8]);
    const number = Buffer.alloc(8);
    number.writeBigUInt64LE(random.pick(HUGE));
    const field = number.subarray(0, width);
    if (random.oneIn(3)) field.reverse();
    return splice(bytes, Math.min(place(bytes, random), Math.max(0, bytes.length - width)), width, field);
  },
  function setDigits(bytes, random) {
    const runs = [...bytes.toString("latin1").matchAll(/\d+/g)];
    if (runs.length === 0) return bytes;
    const { index, 0: digits } = random.pick(runs);
    const number = random.pick(["0", "-1", "0.5", "1e400", "99999999999999999999", "2147483648", `${digits}0`, ""]);
    return splice(bytes, index, digits.length, Buffer.from(number));
  },
  function truncate(bytes, random) {
    return bytes.subarray(0, place(bytes, random));
  },
  function remove(bytes, random) {
    return splice(bytes, place(bytes, random), 1 + random.below(64), Buffer.alloc(0));
  },
  function insert(bytes, random) {
    const added = Buffer.alloc(1 + random.below(64), random.pick([0, 0x20, 0x28, 0x5b, 0xff]));
    return splice(bytes, place(bytes, random), 0, added);
  },
  function repeat(bytes, random) {
    const from = place(bytes, random);
    return splice(bytes, place(bytes, random), 0, bytes.subarray(from, from + 1 + random.below(256)));
  },
  function takeFromOther(bytes, random, others) {
    const other = random.pick(others);
    const from = place(other, random);
    return splice(bytes, place(bytes, random), random.below(256), other.subarray(from, from + random.below(1024)));
  },
];

/** Changes that know nothing of the format. @param others files that parts may be taken from; at least one */
export function mutateBytes(bytes: Buffer, random: Random, others: readonly Buffer[]): Buffer {
  if (bytes.length === 0) return Buffer.from(random.pick(["", "{", "\0", "PK\x03\x04", "\x1f\x8b"]));
  return random.pick(CHANGES)(bytes, random, others);
}
