import { PAD } from "@tensorar/noise";
import * as tf from "@tensorflow/tfjs-core";

// `../leave-one-out` as tensors. B images · k window · V codes

/**
 * The windows that the model was shown at the last k-1 steps, the newest last: int32 [B, k-1, k], at first all PAD.
 * @param zeros float32 [B]
 */
export const noViews = (zeros: tf.Tensor, windowSize: number): tf.Tensor =>
  tf.cast(tf.add(tf.reshape(zeros, [-1, 1, 1]), tf.fill([1, windowSize - 1, windowSize], PAD, "float32")), "int32");

/** The same one step later. @param window int32 [B, k], which the model is shown next */
export function addWindow(views: tf.Tensor, window: tf.Tensor): tf.Tensor {
  const [, kept] = views.shape as [number, number, number];
  const newest = tf.expandDims(window, 1);
  return kept === 1 ? newest : tf.concat([tf.slice(views, [0, 1, 0], [-1, kept - 1, -1]), newest], 1);
}

/**
 * Logits [B, k, V] with `amounts[j-1]` added to entry 0's of the code that the view of its position at depth j showed.
 * @param views as {@link noViews}
 * @param amounts as `viewAmounts` of `../leave-one-out`
 */
export function leaveOneOut(logits: tf.Tensor, views: tf.Tensor, amounts: readonly number[]): tf.Tensor {
  const [, k, V] = logits.shape as [number, number, number];
  // The view at depth j is entry j of the window shown j steps ago.
  const places = amounts.map((_, i) => (k - 2 - i) * k + (i + 1));
  const codes = tf.gather(tf.reshape(views, [-1, (k - 1) * k]), tf.tensor1d(places, "int32"), 1); // [B, k-1]
  const shown = tf.equal(tf.expandDims(codes, 2), tf.range(0, V, 1, "int32")); // [B, k-1, V], never for PAD and BLANK
  const added = tf.mul(tf.cast(shown, "float32"), tf.tensor3d([...amounts], [1, k - 1, 1]));
  const [final, drafts] = tf.split(logits, [1, k - 1], 1) as [tf.Tensor, tf.Tensor];
  return tf.concat([tf.add(final, tf.sum(added, 1, true)), drafts], 1);
}
