import * as tf from "@tensorflow/tfjs-core";

// Temperature and filters of `../categorical` as tensors. B images · V codes

/** Codes that are kept, of a token or of one of its sub-tokens. */
export interface Filter {
  /** Keep the K most likely codes; 0 keeps all. */
  readonly topK: number;
  /** Keep the most likely codes up to this probability; 1 keeps all. */
  readonly topP: number;
}

/** Below every logit, so that what is filtered has no weight. */
const NEVER = -1e30;

/**
 * Logits of the codes that are kept, the others so low that they are never drawn: [B, 1, V] → [B, 1, V].
 * @param temperature [B]
 */
export function filterLogits(logits: tf.Tensor, temperature: tf.Tensor, { topK, topP }: Filter): tf.Tensor {
  const flattened = tf.div(logits, tf.reshape(temperature, [-1, 1, 1]));
  return keepTopP(keepTopK(flattened, topK), topP);
}

function keepTopK(logits: tf.Tensor, topK: number): tf.Tensor {
  const V = logits.shape.at(-1)!;
  if (topK === 0 || topK >= V) return logits;
  const least = tf.slice(tf.topk(logits, topK).values, [0, 0, topK - 1], [-1, -1, 1]);
  return without(logits, tf.less(logits, least));
}

/** Keeps the fewest codes, largest first, that add up to more than `topP`. */
function keepTopP(logits: tf.Tensor, topP: number): tf.Tensor {
  if (topP >= 1) return logits;
  const { values } = tf.topk(logits, logits.shape.at(-1)!);
  const probabilities = tf.softmax(values);
  const beforeEach = tf.sub(tf.cumsum(probabilities, 2), probabilities);
  const least = tf.min(tf.where(tf.greater(beforeEach, topP), -NEVER, values), -1, true); // the smallest logit that is kept
  return without(logits, tf.less(logits, least));
}

const without = (logits: tf.Tensor, dropped: tf.Tensor): tf.Tensor =>
  tf.add(logits, tf.mul(tf.cast(dropped, "float32"), NEVER));
