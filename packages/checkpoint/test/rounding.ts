// Rounding by search among all values of a type: slow, and nothing like the bit arithmetic that it checks.

const halfOf = (bits: number) => {
  const exponent = Math.floor(bits / 1024);
  const fraction = (bits % 1024) / 1024;
  return exponent === 0 ? fraction * 2 ** -14 : (1 + fraction) * 2 ** (exponent - 15);
};

const bfloat16Of = (bits: number) => {
  const exponent = Math.floor(bits / 128);
  const fraction = (bits % 128) / 128;
  return exponent === 0 ? fraction * 2 ** -126 : (1 + fraction) * 2 ** (exponent - 127);
};

/** A 16-bit float type: bits of its Infinity, and the value of every pattern of bits from 0 to that. */
export interface HalfType {
  readonly infinity: number;
  /** Values in ascending order; the last is what would follow the largest finite one. */
  readonly values: Float64Array;
}

const halfType = (infinity: number, decode: (bits: number) => number): HalfType => ({
  infinity,
  values: Float64Array.from({ length: infinity + 1 }, (_, bits) => decode(bits)),
});

export const HALF = halfType(0x7c00, halfOf);
export const BFLOAT16 = halfType(0x7f80, bfloat16Of);

/** Bits of the nearest value; of two equally near ones the even pattern. */
export function nearestBits(value: number, { infinity, values }: HalfType): number {
  const sign = value < 0 || Object.is(value, -0) ? 0x8000 : 0;
  const magnitude = Math.abs(value);
  let [low, high] = [0, infinity];
  if (magnitude >= values[infinity]!) return sign + infinity;
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if (values[middle]! <= magnitude) low = middle;
    else high = middle;
  }
  const [below, above] = [magnitude - values[low]!, values[high]! - magnitude]; // exact: both are nearby doubles
  if (below === above) return sign + (low % 2 === 0 ? low : high);
  return sign + (below < above ? low : high);
}

/** Value of bits that are not NaN. */
export function valueOfBits(bits: number, { infinity, values }: HalfType): number {
  const magnitude = bits & 0x7fff;
  return (bits & 0x8000 ? -1 : 1) * (magnitude === infinity ? Infinity : values[magnitude]!);
}
