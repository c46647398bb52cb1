import type { TensorData } from "@tensorar/core";
import type { ParameterShapes, Params } from "@tensorar/model";
import { createStream } from "@tensorar/noise";
import * as tf from "@tensorflow/tfjs-core";

// B images · S pixels a side · W width · H hidden units · V values of a part

/** What a classifier tells apart: one of several values, such as the style of an image. */
export interface Part {
  readonly name: string;
  readonly values: readonly string[];
}

/** Sizes of a classifier of small images. */
export interface ClassifierConfig {
  /** S, a multiple of 2 to the power of the number of widths but one. */
  readonly imageSize: number;
  /** Channels at each resolution; every further one halves the image. */
  readonly widths: readonly number[];
  /** H */
  readonly hidden: number;
  readonly parts: readonly Part[];
}

/** Side of the last features. */
const lastSide = ({ imageSize, widths }: ClassifierConfig): number => imageSize / 2 ** (widths.length - 1);

/** Shape of every parameter; convolutions are HWIO, linear maps `[in, out]`. */
export function classifierShapes(config: ClassifierConfig): ParameterShapes {
  const { widths, hidden, parts } = config;
  const shapes: Record<string, readonly number[]> = {};
  const layer = (name: string, weight: readonly number[]): void => {
    shapes[`${name}.weight`] = weight;
    shapes[`${name}.bias`] = [weight.at(-1)!];
  };
  for (const [i, width] of widths.entries()) {
    layer(`stages.${i}.enter`, [3, 3, i === 0 ? 3 : widths[i - 1]!, width]);
    layer(`stages.${i}.stay`, [3, 3, width, width]);
  }
  layer("hidden", [lastSide(config) ** 2 * widths.at(-1)!, hidden]);
  for (const { name, values } of parts) layer(`heads.${name}`, [hidden, values.length]);
  return shapes;
}

/** Fresh parameters: weights normal with variance 2 / fan-in (He et al. 2015), biases 0; each depends on the seed and its name alone. */
export function initClassifier(config: ClassifierConfig, seed: number): Record<string, TensorData> {
  return Object.fromEntries(
    Object.entries(classifierShapes(config)).map(([name, shape]): [string, TensorData] => {
      const data = new Float32Array(shape.reduce((a, b) => a * b, 1));
      if (shape.length > 1) {
        const random = createStream(seed, `init/${name}`);
        const std = Math.sqrt((2 * shape.at(-1)!) / data.length);
        for (let i = 0; i < data.length; i++) data[i] = std * random.normal();
      }
      return [name, { dtype: "float32", shape, data }];
    }),
  );
}

const swish = (x: tf.Tensor): tf.Tensor => tf.mul(x, tf.sigmoid(x));

/**
 * Logits of every part: for each resolution a convolution that enters it and one that adds to it, then a hidden layer and a linear
 * head for each part. Differentiable; the caller owns the results.
 *
 * @param images [B, S, S, 3] in [-1, 1]
 * @param keep [B, H]: what hidden units are multiplied with, for dropout; 1 when left out
 * @returns [B, V] by part
 */
export function classify(
  params: Params,
  config: ClassifierConfig,
  images: tf.Tensor,
  keep?: tf.Tensor,
): Record<string, tf.Tensor> {
  const hidden = hiddenUnits(params, config, images); // [B, H]
  const kept = keep ? tf.mul(hidden, keep) : hidden;
  return Object.fromEntries(config.parts.map(({ name }) => [name, linear(params, `heads.${name}`, kept)]));
}

/**
 * What the heads of a classifier see, as features of images. Traceable; the caller owns the result.
 *
 * @param images [B, S, S, 3] in [-1, 1]
 * @returns [B, H]
 */
export function hiddenUnits(params: Params, config: ClassifierConfig, images: tf.Tensor): tf.Tensor {
  const last = stagesOf(params, config, images).at(-1)!;
  const flat = tf.reshape(last, [-1, params["hidden.weight"]!.shape[0]!]);
  return swish(linear(params, "hidden", flat));
}

const linear = (params: Params, name: string, x: tf.Tensor): tf.Tensor =>
  layer(params, name, (weight) => tf.matMul(x as tf.Tensor2D, weight as tf.Tensor2D));

/** Features at each resolution: [B, S / 2^i, S / 2^i, W_i]. */
function stagesOf(params: Params, { widths }: ClassifierConfig, images: tf.Tensor): tf.Tensor[] {
  const conv = (x: tf.Tensor, name: string, stride: number) =>
    layer(params, name, (weight) => tf.conv2d(x as tf.Tensor4D, weight as tf.Tensor4D, stride, "same"));
  const stages: tf.Tensor[] = [];
  for (const i of widths.keys()) {
    const entered = swish(conv(stages.at(-1) ?? images, `stages.${i}.enter`, i === 0 ? 1 : 2));
    stages.push(tf.add(entered, swish(conv(entered, `stages.${i}.stay`, 1))));
  }
  return stages;
}

const layer = (params: Params, name: string, apply: (weight: tf.Tensor) => tf.Tensor): tf.Tensor =>
  tf.add(apply(params[`${name}.weight`]!), params[`${name}.bias`]!);

const SMALLEST_SQUARE = 1e-10;

/** The channels of each pixel, divided by their length. */
const unitLength = (x: tf.Tensor): tf.Tensor =>
  tf.div(x, tf.sqrt(tf.add(tf.sum(tf.square(x), 3, true), SMALLEST_SQUARE)));

/**
 * How far images look from each other to a classifier: the squared difference of its features, each pixel's scaled to length 1,
 * averaged over pixels and added up over resolutions. For training where LPIPS is not at hand, whose form it has, but for the weights of
 * channels, which were fitted to people's judgement. Differentiable; the caller owns the result.
 *
 * @param a [B, S, S, 3] in [-1, 1]
 * @param b the same
 * @returns [B]
 */
export function classifierDistance(params: Params, config: ClassifierConfig, a: tf.Tensor, b: tf.Tensor): tf.Tensor {
  const [ofA, ofB] = [stagesOf(params, config, a), stagesOf(params, config, b)];
  const distances = ofA.map((features, i) => {
    const difference = tf.square(tf.sub(unitLength(features), unitLength(ofB[i]!)));
    return tf.mean(tf.sum(difference, 3), [1, 2]); // [B]
  });
  return tf.addN(distances);
}
