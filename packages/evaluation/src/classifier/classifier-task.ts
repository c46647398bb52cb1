import type { TensorSpec } from "@tensorar/core";
import { batchIndices, type Dataset, movedImage, toFloatImages } from "@tensorar/data";
import { type Params, windowLoss } from "@tensorar/model";
import { createStream } from "@tensorar/noise";
import {
  type GradientInputs,
  initialTrainingState,
  type OptimizerOptions,
  optimized,
  type TrainingTask,
} from "@tensorar/training";
import * as tf from "@tensorflow/tfjs-core";
import { saveClassifier } from "./classifier-folder";
import { datasetLabels } from "./labels";
import { type ClassifierConfig, classify, initClassifier } from "./network";

// B images · S pixels a side · H hidden units · P parts

/** How a classifier is trained. */
export interface ClassifierTrainingOptions extends OptimizerOptions {
  /** Images a step. */
  readonly batchSize: number;
  /** Probability that a hidden unit is left out of a step. */
  readonly dropout: number;
  /** Pixels by which images are moved at most, in each direction. */
  readonly shift: number;
  /** The one source of all random numbers. */
  readonly seed: number;
}

type ClassifierBatch = { images: TensorSpec; labels: TensorSpec; keep: TensorSpec };

/** Trains a classifier on the training images of a data set, moved at random; the result is a classifier folder. */
export function classifierTask(
  dataset: Dataset,
  config: ClassifierConfig,
  options: ClassifierTrainingOptions,
): TrainingTask<ClassifierBatch> {
  const { batchSize: B, dropout, shift, seed } = options;
  const { imageSize: S, hidden: H, parts } = config;
  const known = datasetLabels(dataset, parts);
  const indices = known.map((labels) => parts.map(({ name, values }) => values.indexOf(labels[name] ?? "")));
  return {
    title: "classifier",
    recipe: { ...options, config },
    batchSpec: {
      images: { dtype: "float32", shape: [B, S, S, 3] },
      labels: { dtype: "int32", shape: [B, parts.length] }, // -1 where a part is not known
      keep: { dtype: "float32", shape: [B, H] },
    },
    initialState: () => initialTrainingState(initClassifier(config, seed)),
    ...optimized(options, (params, { batch }: GradientInputs<ClassifierBatch>) => partsLoss(params, config, batch)),
    async batch(step) {
      const picks = batchIndices({ count: dataset.train.length, batchSize: B, seed, step });
      const chosen = picks.map((i) => dataset.train[i]!);
      const random = createStream(seed, "classifier", step);
      const pixels = moved(await dataset.readImages(chosen), S, () => random.below(2 * shift + 1) - shift);
      const labels = Int32Array.from(Array.from(chosen).flatMap((image) => indices[image]!));
      const keep = new Float32Array(B * H).map(() => (random.uniform() < dropout ? 0 : 1 / (1 - dropout)));
      return {
        images: { dtype: "float32", shape: [B, S, S, 3], data: toFloatImages(pixels) },
        labels: { dtype: "int32", shape: [B, parts.length], data: labels },
        keep: { dtype: "float32", shape: [B, H], data: keep },
      };
    },
    save: (dir, tensors, { precision, recipe }) =>
      saveClassifier(dir, { config, training: { ...recipe }, tensors }, precision),
  };
}

/** The sum of the cross-entropies of all parts, and the accuracy of each. */
function partsLoss(
  params: Params,
  config: ClassifierConfig,
  { images, labels, keep }: Readonly<Record<keyof ClassifierBatch, tf.Tensor>>,
): { readonly loss: tf.Scalar; readonly [metric: string]: tf.Tensor } {
  const { parts } = config;
  const B = images.shape[0]!;
  const logits = classify(params, config, images, keep);
  const losses = parts.map(({ name, values }, part) => {
    const own = tf.slice(labels, [0, part], [B, 1]);
    return windowLoss(tf.reshape(logits[name]!, [B, 1, 1, values.length]), tf.reshape(own, [B, 1, 1]));
  });
  const metrics = Object.fromEntries(losses.map(({ accuracy }, part) => [`${parts[part]!.name}Accuracy`, accuracy]));
  return { loss: tf.addN(losses.map(({ loss }) => loss)) as tf.Scalar, ...metrics };
}

/** Images moved down and right by some pixels each. */
function moved(pixels: Uint8Array, size: number, distance: () => number): Uint8Array {
  const out = new Uint8Array(pixels.length);
  const bytes = size * size * 3;
  for (let first = 0; first < pixels.length; first += bytes) {
    const [down, right] = [distance(), distance()];
    out.set(movedImage(pixels.subarray(first, first + bytes), size, down, right), first);
  }
  return out;
}
