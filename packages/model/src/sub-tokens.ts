import * as tf from "@tensorflow/tfjs-core";

/**
 * Sub-tokens of tokens: `token = c_0 + c_1 · V_0 + c_2 · V_0 · V_1 + …`.
 * @param tokens int32 [...] in [0, V)
 * @param sizes V_0, V_1, …
 * @returns int32 [...] each
 */
export function splitTokens(tokens: tf.Tensor, sizes: readonly number[]): tf.Tensor[] {
  let rest = tokens;
  return sizes.map((size, factor) => {
    if (factor === sizes.length - 1) return rest;
    const above = tf.floorDiv(rest, tf.scalar(size, "int32"));
    const part = tf.sub(rest, tf.mul(above, tf.scalar(size, "int32")));
    rest = above;
    return part;
  });
}

/** The reverse of {@link splitTokens}. */
export function joinTokens(parts: readonly tf.Tensor[], sizes: readonly number[]): tf.Tensor {
  return parts.reduceRight((above, part, factor) => tf.add(part, tf.mul(above, tf.scalar(sizes[factor]!, "int32"))));
}
