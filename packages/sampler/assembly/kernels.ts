// Loops over one row of logits in linear memory. AssemblyScript: the README says how it is compiled.
// Addresses are in bytes, counts in numbers. Values are float32 and not NaN, weights float64. Values are followed by -Infinity
// up to a multiple of four, which is read too.

/** The largest value; NaN if any is. */
export function largest(values: usize, count: i32): f32 {
  let a = f32x4.splat(-Infinity);
  let b = a;
  const end = endOf(values, count);
  for (; values + 16 < end; values += 32) {
    a = f32x4.max(a, v128.load(values));
    b = f32x4.max(b, v128.load(values, 16));
  }
  if (values < end) a = f32x4.max(a, v128.load(values));
  a = f32x4.max(a, b);
  a = f32x4.max(a, i8x16.shuffle(a, a, 8, 9, 10, 11, 12, 13, 14, 15, 0, 1, 2, 3, 4, 5, 6, 7));
  return max(f32x4.extract_lane(a, 0), f32x4.extract_lane(a, 1));
}

/**
 * A threshold that as many values reach as reach the `rank`-th largest. Found by halving the range of floating-point numbers,
 * in which it takes at most 32 counts; these know no branches, so the order of the values costs nothing.
 */
export function thresholdOf(values: usize, count: i32, rank: i32, largest: f32): f32 {
  let low = orderOf(-Infinity);
  let high = orderOf(largest) + 1;
  while (high - low > 1) {
    const middle = low + ((high - low) >> 1);
    const reaching = countReaching(values, count, numberOf(middle));
    if (reaching >= rank) low = middle;
    else high = middle;
    if (reaching === rank) break;
  }
  return numberOf(low);
}

function countReaching(values: usize, count: i32, threshold: f32): i32 {
  const limit = f32x4.splat(threshold);
  let a = i32x4.splat(0);
  let b = a;
  const end = endOf(values, count);
  for (; values + 16 < end; values += 32) {
    a = i32x4.sub(a, f32x4.ge(v128.load(values), limit));
    b = i32x4.sub(b, f32x4.ge(v128.load(values, 16), limit));
  }
  if (values < end) a = i32x4.sub(a, f32x4.ge(v128.load(values), limit));
  a = i32x4.add(a, b);
  return i32x4.extract_lane(a, 0) + i32x4.extract_lane(a, 1) + i32x4.extract_lane(a, 2) + i32x4.extract_lane(a, 3);
}

/**
 * Keeps what is above the threshold, and the first `ties` of what equals it.
 * @param kept values that are kept, with -Infinity behind them up to a multiple of four
 * @param codes their indices, ascending
 * @returns how many
 */
export function keep(values: usize, count: i32, threshold: f32, ties: i32, kept: usize, codes: usize): i32 {
  const limit = f32x4.splat(threshold);
  let length = 0;
  for (let first = 0; first < count; first += 4) {
    let reaching = i32x4.bitmask(f32x4.ge(v128.load(values + ((<usize>first) << 2)), limit));
    while (reaching) {
      const code = first + ctz(reaching);
      reaching &= reaching - 1;
      if (code >= count) break;
      const value = load<f32>(values + ((<usize>code) << 2));
      if (value === threshold && ties-- <= 0) continue;
      store<f32>(kept + ((<usize>length) << 2), value);
      store<i32>(codes + ((<usize>length) << 2), code);
      length++;
    }
  }
  for (let i = length; i & 3; i++) store<f32>(kept + ((<usize>i) << 2), -Infinity);
  return length;
}

// e^x = 2^(n / 64) · e^r, where n is a whole number and |r| ≤ ln 2 / 128.
const PER_STEP: f64 = 92.33248261689366; // 64 / ln 2
/** ln 2 / 64 in two parts: whole multiples of the first, up to 2^17 of them, are exact. */
const HIGH: f64 = 0.010830424726009369;
const LOW: f64 = -2.976022379919119e-11;
/** Added to a number below 2^51, it leaves the nearest whole number in the low bits. */
const ROUNDING: f64 = 6755399441055744; // 1.5 · 2^52
/** e^x of less has no place among normal numbers. */
const LEAST: f64 = -708;

/**
 * `weights[i] = e^((values[i] - largest) · scale)`, with a relative error below 10⁻¹³; 0 where the exponent is below -708.
 * The same on every engine, whose own `Math.exp` differ in their last bits. Source: Tang 1989, "Table-driven implementation of
 * the exponential function in IEEE floating-point arithmetic".
 *
 * @param powers `2^(j / 64)` for j = 0 … 63, float64
 * @returns the sum
 */
export function weigh(values: usize, count: i32, largest: f64, scale: f64, powers: usize, weights: usize): f64 {
  const most = f64x2.splat(largest);
  const factor = f64x2.splat(scale);
  let a = f64x2.splat(0);
  let b = a;
  for (const end = endOf(values, count); values < end; values += 16) {
    const four = v128.load(values);
    const two = f64x2.promote_low_f32x4(four);
    const others = f64x2.promote_low_f32x4(
      i8x16.shuffle(four, four, 8, 9, 10, 11, 12, 13, 14, 15, 0, 1, 2, 3, 4, 5, 6, 7),
    );
    const first = exponential(f64x2.mul(f64x2.sub(two, most), factor), powers);
    const second = exponential(f64x2.mul(f64x2.sub(others, most), factor), powers);
    v128.store(weights, first);
    v128.store(weights, second, 16);
    a = f64x2.add(a, first);
    b = f64x2.add(b, second);
    weights += 32;
  }
  a = f64x2.add(a, b);
  return f64x2.extract_lane(a, 0) + f64x2.extract_lane(a, 1);
}

/** e^x for x ≤ 0. */
function exponential(exponent: v128, powers: usize): v128 {
  const x = f64x2.pmax(exponent, f64x2.splat(LEAST));
  const rounded = f64x2.add(f64x2.mul(x, f64x2.splat(PER_STEP)), f64x2.splat(ROUNDING));
  const n = f64x2.sub(rounded, f64x2.splat(ROUNDING));
  const r = f64x2.sub(f64x2.sub(x, f64x2.mul(n, f64x2.splat(HIGH))), f64x2.mul(n, f64x2.splat(LOW)));
  const square = f64x2.mul(r, r);
  // 1 + r + r²/2 + r³/6 + r⁴/24, and r⁵/120 < 4 · 10⁻¹⁴
  const low = f64x2.add(f64x2.splat(1), r);
  const middle = f64x2.add(f64x2.splat(1 / 2), f64x2.mul(r, f64x2.splat(1 / 6)));
  const high = f64x2.mul(square, f64x2.splat(1 / 24));
  const polynomial = f64x2.add(low, f64x2.mul(square, f64x2.add(middle, high)));
  // The six low bits of n choose the power, the others are added to its exponent.
  const j = powers + ((<usize>i32x4.extract_lane(rounded, 0) & 63) << 3);
  const k = powers + ((<usize>i32x4.extract_lane(rounded, 2) & 63) << 3);
  const power = v128.load64_lane(k, v128.load64_zero(j), 1);
  const scaled = i64x2.add(power, i64x2.shl(i64x2.shr_u(rounded, 6), 52));
  return v128.and(f64x2.mul(scaled, polynomial), f64x2.ge(exponent, f64x2.splat(LEAST)));
}

/** The largest threshold so that the weights of the values that reach it add up to more than `wanted`, which all of them do. */
export function nucleus(values: usize, weights: usize, count: i32, wanted: f64, largest: f32): f32 {
  let low = orderOf(-Infinity);
  let high = orderOf(largest) + 1;
  while (high - low > 1) {
    const middle = low + ((high - low) >> 1);
    if (weightReaching(values, weights, count, numberOf(middle)) > wanted) low = middle;
    else high = middle;
  }
  return numberOf(low);
}

function weightReaching(values: usize, weights: usize, count: i32, threshold: f32): f64 {
  const limit = f32x4.splat(threshold);
  let a = f64x2.splat(0);
  let b = a;
  for (const end = endOf(values, count); values < end; values += 16) {
    const reaching = f32x4.ge(v128.load(values), limit);
    a = f64x2.add(a, v128.and(v128.load(weights), i64x2.extend_low_i32x4_s(reaching)));
    b = f64x2.add(b, v128.and(v128.load(weights, 16), i64x2.extend_high_i32x4_s(reaching)));
    weights += 32;
  }
  a = f64x2.add(a, b);
  return f64x2.extract_lane(a, 0) + f64x2.extract_lane(a, 1);
}

/** How many of the values that equal the threshold of a nucleus it needs for its weight to exceed `wanted`. */
export function tiesNeeded(values: usize, weights: usize, count: i32, wanted: f64, threshold: f32): i32 {
  let missing = wanted;
  let weight: f64 = 0;
  for (const end = values + ((<usize>count) << 2); values < end; values += 4) {
    const value = load<f32>(values);
    if (value > threshold) missing -= load<f64>(weights);
    else if (value === threshold) weight = load<f64>(weights);
    weights += 8;
  }
  return max(1, <i32>min(floor(missing / weight) + 1, <f64>count));
}

function endOf(values: usize, count: i32): usize {
  return values + (((<usize>count + 3) & ~3) << 2);
}

/** The place of a number among all: order-preserving, and successive for neighbours. */
function orderOf(value: f32): i64 {
  const bits = reinterpret<i32>(value);
  return bits ^ ((bits >> 31) & 0x7fffffff);
}

/** Inverse of {@link orderOf}. */
function numberOf(order: i64): f32 {
  const bits = <i32>order;
  return reinterpret<f32>(bits ^ ((bits >> 31) & 0x7fffffff));
}
