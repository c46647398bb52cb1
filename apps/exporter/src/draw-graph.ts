import { sampleFromLogits } from "@tensorar/model";
import { type Guidance, scaleAt } from "@tensorar/sampler";
import * as tf from "@tensorflow/tfjs-core";

// How `generate` of @tensorar/sampler draws codes, as tensors. B images · k window · V codes

/** Codes that are kept, of a token or of one of its sub-tokens. */
export interface Filter {
  /** Keep the K most likely codes; 0 keeps all. */
  readonly topK: number;
  /** Keep the most likely codes up to this probability; 1 keeps all. */
  readonly topP: number;
}

/** Guidance whose scale is given with every image. */
export type Ramp = Guidance extends infer G ? (G extends Guidance ? Omit<G, "scale"> : never) : never;

/** Below every logit, so that what is filtered has no weight. */
const NEVER = -1e30;

/**
 * Scales of a step: 1 + (scale - 1) · ramp, with the ramp as a table.
 * @param scale [B]
 * @param step int32 [1]
 */
export function scalesAt(ramp: Ramp, scale: tf.Tensor, step: tf.Tensor, tokens: number): tf.Tensor {
  if (ramp.kind === "constant") return scale;
  const guidance = { ...ramp, scale: 2 } as Guidance; // whose excess over 1 is the ramp itself
  const table = tf.tensor1d(Array.from({ length: tokens }, (_, position) => scaleAt(guidance, position, tokens) - 1));
  return tf.add(tf.mul(tf.sub(scale, 1), tf.gather(table, step as tf.Tensor1D)), 1);
}

/**
 * Logits [B, 2, k, V] with and without the condition, mixed → [B, k, V].
 * @param scale [B]: images whose scale is at most 1 keep the condition's own
 * @param now [B]: scale of this step
 */
export function guided(logits: tf.Tensor, scale: tf.Tensor, now: tf.Tensor): tf.Tensor {
  const [conditional, without] = tf.unstack(logits, 1) as [tf.Tensor, tf.Tensor];
  const perImage = (x: tf.Tensor) => tf.reshape(x, [-1, 1, 1]);
  const guides = perImage(tf.cast(tf.greater(scale, 1), "float32"));
  const mixed = tf.add(without, tf.mul(tf.sub(conditional, without), perImage(now)));
  return tf.add(tf.mul(mixed, guides), tf.mul(conditional, tf.sub(1, guides))); // exact: one of the two is 0
}

/**
 * Entry 0 with temperature and filters, drafts as they are: [B, k, V] → int32 [B, k].
 * @param uniforms [B, k]
 * @param temperature [B]
 */
export function draw(logits: tf.Tensor, uniforms: tf.Tensor, temperature: tf.Tensor, filter: Filter): tf.Tensor {
  const [, k, V] = logits.shape as [number, number, number];
  const first = tf.div(tf.slice(logits, [0, 0, 0], [-1, 1, V]), tf.reshape(temperature, [-1, 1, 1])); // [B, 1, V]
  const kept = nucleus(mostLikely(first, filter.topK), filter.topP);
  const rows = k === 1 ? kept : tf.concat([kept, tf.slice(logits, [0, 1, 0], [-1, k - 1, V])], 1);
  return sampleFromLogits(rows, uniforms);
}

function mostLikely(logits: tf.Tensor, topK: number): tf.Tensor {
  const V = logits.shape.at(-1)!;
  if (topK === 0 || topK >= V) return logits;
  const least = tf.slice(tf.topk(logits, topK).values, [0, 0, topK - 1], [-1, -1, 1]);
  return without(logits, tf.less(logits, least));
}

/** Keeps the fewest codes, largest first, that add up to more than `topP`. */
function nucleus(logits: tf.Tensor, topP: number): tf.Tensor {
  if (topP >= 1) return logits;
  const { values } = tf.topk(logits, logits.shape.at(-1)!);
  const probabilities = tf.softmax(values);
  const beforeEach = tf.sub(tf.cumsum(probabilities, 2), probabilities);
  const least = tf.min(tf.where(tf.greater(beforeEach, topP), -NEVER, values), -1, true); // the smallest logit that is kept
  return without(logits, tf.less(logits, least));
}

const without = (logits: tf.Tensor, dropped: tf.Tensor): tf.Tensor =>
  tf.add(logits, tf.mul(tf.cast(dropped, "float32"), NEVER));
