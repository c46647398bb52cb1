import { sampleFromLogits } from "@tensorar/model";
import { type DraftPolicy, type Guidance, scaleAt } from "@tensorar/sampler";
import * as tf from "@tensorflow/tfjs-core";

// How `generate` of @tensorar/sampler draws codes, as tensors. B images · k window · V codes

/** Codes that are kept, of a token or of one of its sub-tokens. */
export interface Filter {
  /** Keep the K most likely codes; 0 keeps all. */
  readonly topK: number;
  /** Keep the most likely codes up to this probability; 1 keeps all. */
  readonly topP: number;
}

/** What becomes of drafts, see `DraftPolicy` of `@tensorar/sampler`; rates of `renoise` are those that the model was trained with. */
export type Drafts = DraftPolicy extends infer P ? (P extends DraftPolicy ? Omit<P, "rates"> : never) : never;

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
  const mixed = tf.add(without, tf.mul(tf.sub(conditional, without), perImage(now)));
  return tf.where(perImage(tf.greater(scale, 1)), mixed, conditional);
}

/**
 * Entry 0 with temperature and filters, drafts as their policy says: [B, k, V] → int32 [B, k].
 * @param uniforms [B, k]
 * @param temperature [B]
 */
export function draw(
  logits: tf.Tensor,
  uniforms: tf.Tensor,
  temperature: tf.Tensor,
  filter: Filter,
  drafts: Drafts,
): tf.Tensor {
  const [, k, V] = logits.shape as [number, number, number];
  const first = tf.div(tf.slice(logits, [0, 0, 0], [-1, 1, V]), tf.reshape(temperature, [-1, 1, 1])); // [B, 1, V]
  const kept = nucleus(mostLikely(first, filter.topK), filter.topP);
  if (k === 1) return sampleFromLogits(kept, uniforms);
  const others = tf.slice(logits, [0, 1, 0], [-1, k - 1, V]); // [B, k-1, V]
  if (drafts.kind === "argmax") {
    const final = sampleFromLogits(kept, tf.slice(uniforms, [0, 0], [-1, 1]));
    return tf.concat([final, tf.argMax(others, 2)], 1);
  }
  const flattened = "temperature" in drafts ? tf.div(others, drafts.temperature ?? 1) : others;
  return sampleFromLogits(tf.concat([kept, flattened], 1), uniforms);
}

/**
 * Codes that are fed back: [B, k], each draft replaced by its noise where its chance, [B, k-1], is below its rate.
 * @param rates β(0) … β(k-1)
 */
export function disturbed(
  codes: tf.Tensor,
  noise: { readonly chances: tf.Tensor; readonly codes: tf.Tensor },
  rates: readonly number[],
): tf.Tensor {
  const drafts = tf.slice(codes, [0, 1], [-1, rates.length - 1]);
  const replaced = tf.less(noise.chances, tf.tensor2d([...rates.slice(1)], [1, rates.length - 1]));
  const chosen = tf.cast(replaced, "int32");
  const fed = tf.add(drafts, tf.mul(chosen, tf.sub(noise.codes, drafts)));
  return tf.concat([tf.slice(codes, [0, 0], [-1, 1]), fed], 1);
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
