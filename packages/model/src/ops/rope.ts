import { withGradient } from "@tensorar/program";
import * as tf from "@tensorflow/tfjs-core";

// R rows · H heads · L positions of this call · Dh head width

/** Rotary coefficients of some positions, ready for {@link rope}. */
export interface RopeTables {
  /** [H, L, Dh], or [R, H, L, Dh] where rows have positions of their own: cos, for both members of each pair. */
  readonly cos: tf.Tensor;
  /** As `cos`: -sin for the first and +sin for the second of each pair. */
  readonly sin: tf.Tensor;
  /** [Dh, Dh]: the permutation that swaps the two members of each pair. */
  readonly swap: tf.Tensor2D;
}

/**
 * 2-D rotary table, the layout of the original: cos and sin of each position and pair. The first half of the pairs turns
 * with the row of the grid, the second half with its column. Condition positions come first and are all zero, cos too, so
 * their queries and keys vanish. Computed in float32 like the original.
 * Source: LlamaGen `autoregressive/models/gpt.py`, `precompute_freqs_cis_2d`.
 *
 * @returns [conditionPositions + grid², Dh / 2, 2]
 */
export function ropeTable2d(grid: number, headDim: number, base: number, conditionPositions: number): Float32Array {
  const pairs = headDim / 2;
  const perAxis = Math.floor(pairs / 2);
  const table = new Float32Array((conditionPositions + grid * grid) * headDim);
  for (let cell = 0; cell < grid * grid; cell++) {
    const place = [Math.floor(cell / grid), cell % grid] as const;
    for (let pair = 0; pair < 2 * perAxis; pair++) {
      const axis = pair < perAxis ? 0 : 1;
      const exponent = Math.fround((2 * (pair - axis * perAxis)) / pairs);
      const frequency = Math.fround(1 / Math.fround(base ** exponent));
      const angle = Math.fround(place[axis] * frequency);
      table.set([Math.cos(angle), Math.sin(angle)], ((conditionPositions + cell) * pairs + pair) * 2);
    }
  }
  return table;
}

/** The table with cos and signed sin spread over the interleaved pairs: [positions, 2 · Dh], cos first. */
export function spreadRopeTable(table: Float32Array, headDim: number): Float32Array {
  const spread = new Float32Array(table.length * 2);
  for (let i = 0; i < table.length; i += 2) {
    const position = Math.floor(i / headDim);
    const at = position * 2 * headDim + (i % headDim);
    const [cos, sin] = [table[i]!, table[i + 1]!];
    spread.set([cos, cos], at);
    spread.set([-sin, sin], at + headDim);
  }
  return spread;
}

/**
 * Coefficients of some positions for all query heads and then all key heads, so that both are turned in one pass. Those of
 * queries hold the scale `1/√Dh`, which saves a pass over the attention scores.
 *
 * @param spread [positions, 2 · Dh] from {@link spreadRopeTable}
 * @param positions int32 [L]: places in the sequence; or [R, L], each row's own
 */
export function ropeTables(
  spread: tf.Tensor2D,
  positions: tf.Tensor,
  { heads, keyHeads }: { readonly heads: number; readonly keyHeads: number },
): RopeTables {
  const headDim = spread.shape[1] / 2;
  const ofHeads = headFactors(heads, keyHeads, headDim);
  const [cos, sin] = tf.split(tf.gather(spread, positions), 2, -1) as [tf.Tensor, tf.Tensor]; // [L, Dh] or [R, L, Dh]
  return {
    cos: tf.mul(ofHeads, overHeads(cos)),
    sin: tf.mul(ofHeads, overHeads(sin)),
    swap: swapMatrix(headDim, (i) => i ^ 1),
  };
}

/** Positions are split into `STRIDE · coarse + fine`, so that two small tables serve all of them. */
const STRIDE = 128;
const COARSE = 256;

/**
 * Coefficients of a language model's rotary embedding at these positions: one axis, member p of the first half of a head
 * paired with member p of the second. As in {@link ropeTables}, those of queries hold the scale `1/√Dh`.
 *
 * They come from tables by the sums of angles, not from sine and cosine in the graph, of which WebGPU promises three digits.
 * Source: transformers `models/llama/modeling_llama.py`. Differs: its angles are rounded to float32 first, ours are not.
 *
 * @param positions int32 [L], below 32,768; or [R, L], each row's own
 */
export function ropeTables1d(
  positions: tf.Tensor,
  sizes: { readonly headDim: number; readonly heads: number; readonly keyHeads: number; readonly base: number },
): RopeTables {
  const { headDim, heads, keyHeads, base } = sizes;
  const half = headDim / 2;
  const frequencies = Array.from({ length: half }, (_, p) => Math.fround(1 / Math.fround(base ** ((2 * p) / headDim))));
  const coarse = tf.cast(tf.floor(tf.mul(tf.cast(positions, "float32"), 1 / STRIDE)), "int32"); // [L]
  const fine = tf.sub(positions, tf.mul(coarse, tf.scalar(STRIDE, "int32")));
  const [cosA, sinA] = cosAndSin(frequencies, COARSE, STRIDE, coarse);
  const [cosB, sinB] = cosAndSin(frequencies, STRIDE, 1, fine);
  const cos = tf.sub(tf.mul(cosA, cosB), tf.mul(sinA, sinB)); // [L, Dh / 2]
  const sin = tf.add(tf.mul(sinA, cosB), tf.mul(cosA, sinB));
  const ofHeads = headFactors(heads, keyHeads, headDim);
  const swap = swapMatrix(headDim, (i) => (i + half) % headDim);
  const [cosines, sines] = [tf.concat([cos, cos], -1), tf.concat([tf.neg(sin), sin], -1)]; // [L, Dh] or [R, L, Dh]
  return { cos: tf.mul(ofHeads, overHeads(cosines)), sin: tf.mul(ofHeads, overHeads(sines)), swap };
}

/** Cosine and sine of `stride · row · frequency`, for these of `count` rows: [L, frequencies] each. */
function cosAndSin(
  frequencies: readonly number[],
  count: number,
  stride: number,
  rows: tf.Tensor,
): [cos: tf.Tensor, sin: tf.Tensor] {
  const angles = Array.from({ length: count }, (_, row) => frequencies.map((each) => stride * row * each));
  const table = angles.flatMap((row) => [...row.map(Math.cos), ...row.map(Math.sin)]);
  const chosen = tf.gather(tf.tensor2d(table, [count, 2 * frequencies.length]), rows as tf.Tensor1D);
  return tf.split(chosen, 2, -1) as [tf.Tensor, tf.Tensor];
}

/** [L, Dh] as it is, [R, L, Dh] → [R, 1, L, Dh]. */
const overHeads = (table: tf.Tensor): tf.Tensor => (table.rank === 2 ? table : tf.expandDims(table, 1));

/** [H + Hkv, 1, 1]: the attention scale for query heads, 1 for key heads. */
const headFactors = (heads: number, keyHeads: number, headDim: number): tf.Tensor =>
  tf.tensor3d(
    Array.from({ length: heads + keyHeads }, (_, head) => (head < heads ? 1 / Math.sqrt(headDim) : 1)),
    [heads + keyHeads, 1, 1],
  );

function swapMatrix(size: number, partner: (member: number) => number): tf.Tensor2D {
  const values = new Float32Array(size * size);
  for (let i = 0; i < size; i++) values[i * size + partner(i)] = 1;
  return tf.tensor2d(values, [size, size]);
}

/**
 * Rotates the pairs of every head: `x·cos + swap(x)·sin`. The swap is a product with a permutation matrix,
 * far cheaper in ONNX Runtime than strided copies of single elements. The gradient is the inverse rotation.
 *
 * @param x [R, H, L, Dh]
 * @returns [R, H, L, Dh]
 */
export function rope(x: tf.Tensor, { cos, sin, swap }: RopeTables): tf.Tensor {
  return withGradient(
    [x],
    (x) => ({ value: tf.add(tf.mul(x, cos), tf.mul(swapPairs(x, swap), sin)), saved: [cos, sin, swap] as const }),
    (dy, [cos, sin, swap]) => [tf.sub(tf.mul(dy, cos), tf.mul(swapPairs(dy, swap), sin))],
  );
}

function swapPairs(x: tf.Tensor, swap: tf.Tensor2D): tf.Tensor {
  const flat = tf.reshape(x, [-1, swap.shape[0]]) as tf.Tensor2D;
  return tf.reshape(tf.matMul(flat, swap), [-1, ...x.shape.slice(1)]);
}
