import { ShapeError, TensorARError } from "@tensorar/core";
import { createStream } from "@tensorar/noise";
import * as tf from "@tensorflow/tfjs-core";
import type { ParameterShapes } from "../layers";
import { paddedConv } from "../ops/padded-conv";
import { type Params, parameter } from "../parameters";

// N images · H, W pixels · [h, w] patches · C channels

/** A discriminator of patches; the keys of the original's `NLayerDiscriminator`. */
export interface PatchGanConfig {
  /** Channels of an image; default 3. */
  readonly input_nc?: number;
  /** Channels of the first layer; default 64. */
  readonly ndf?: number;
  /** Layers that halve the image; default 3. */
  readonly n_layers?: number;
}

/** Most channels of a layer are eight times those of the first. */
const MOST_TIMES = 8;
const SIZE = 4;
const EPSILON = 1e-5;
/** Of the running statistics of batch normalization. */
const MOMENTUM = 0.1;
const SLOPE = 0.2;

interface Layer {
  /** Index in the original's `main`. */
  readonly index: number;
  readonly from: number;
  readonly to: number;
  readonly stride: 1 | 2;
  /** Index of the batch normalization after it. */
  readonly norm: number | undefined;
  readonly last: boolean;
}

function layersOf({ input_nc = 3, ndf = 64, n_layers = 3 }: PatchGanConfig): Layer[] {
  for (const [name, value] of Object.entries({ input_nc, ndf, n_layers }))
    if (!(Number.isInteger(value) && value >= 1 && value <= 4096))
      throw new TensorARError(`PatchGAN: ${name} = ${value} is out of range; use an integer from 1 to 4096`);
  const channels = (layer: number) => ndf * Math.min(2 ** layer, MOST_TIMES);
  const layers: Layer[] = [{ index: 0, from: input_nc, to: ndf, stride: 2, norm: undefined, last: false }];
  for (let layer = 1; layer <= n_layers; layer++) {
    const index = 3 * layer - 1;
    const stride = layer < n_layers ? 2 : 1;
    layers.push({ index, from: channels(layer - 1), to: channels(layer), stride, norm: index + 1, last: false });
  }
  layers.push({ index: 3 * n_layers + 2, from: channels(n_layers), to: 1, stride: 1, norm: undefined, last: true });
  return layers;
}

/** What does not learn: mean and variance that batch normalization keeps for evaluation. */
const STATISTICS = ["running_mean", "running_var"] as const;

/** Shapes of parameters and of running statistics, by the original's names. @throws TensorARError for a bad configuration */
export function patchGanShapes(config: PatchGanConfig): ParameterShapes {
  const shapes: Record<string, number[]> = {};
  for (const { index, from, to, norm } of layersOf(config)) {
    shapes[`main.${index}.weight`] = [to, from, SIZE, SIZE];
    if (norm === undefined) shapes[`main.${index}.bias`] = [to];
    else for (const name of ["weight", "bias", ...STATISTICS]) shapes[`main.${norm}.${name}`] = [to];
  }
  return shapes;
}

/** Whether a parameter is a running statistic, which no gradient changes. */
export const isStatistic = (name: string): boolean => STATISTICS.some((each) => name.endsWith(`.${each}`));

/**
 * Fresh parameters as the original's `weights_init`: filters normal with deviation 0.02, scales of norms around 1, biases 0; biases of
 * convolutions too, which the original leaves at PyTorch's default. A parameter depends on the seed and its own name only.
 * The caller owns the tensors.
 */
export function initPatchGan(config: PatchGanConfig, seed: number): Record<string, tf.Tensor> {
  return Object.fromEntries(
    Object.entries(patchGanShapes(config)).map(([name, shape]) => {
      const values = new Float32Array(shape.reduce((product, size) => product * size, 1));
      const stream = createStream(seed, `init/discriminator/${name}`);
      const isNorm = shape.length === 1 && name.endsWith("weight");
      if (isNorm) for (let i = 0; i < values.length; i++) values[i] = 1 + 0.02 * stream.normal();
      else if (shape.length > 1) for (let i = 0; i < values.length; i++) values[i] = 0.02 * stream.normal();
      else if (name.endsWith("running_var")) values.fill(1);
      return [name, tf.tensor(values, [...shape], "float32")];
    }),
  );
}

/** What a discriminator makes of images. */
export interface Discriminated {
  /** `[N, h, w, 1]`: above 0 where a patch is taken for real. */
  readonly logits: tf.Tensor4D;
  /** In training: the running statistics after this batch, by name. */
  readonly statistics: Record<string, tf.Tensor>;
}

/**
 * Tells real patches from reconstructed ones. Source: `tokenizer/tokenizer_image/discriminator_patchgan.py` of
 * FoundationVision/LlamaGen, a PatchGAN (Isola et al. 2017). The caller owns the results.
 *
 * @param images float32 `[N, H, W, C]` in `[-1, 1]`
 * @param training whether batch normalization takes the statistics of this batch, or those that it keeps
 * @throws ShapeError where images are too small for the layers, or have other channels
 */
export function discriminate(
  params: Params,
  config: PatchGanConfig,
  images: tf.Tensor4D,
  training: boolean,
): Discriminated {
  const layers = layersOf(config);
  const [, H, W, C] = images.shape;
  const smallest = 3 * 2 ** (layers.length - 2); // the layers that halve leave 3 patches a side, the last two take one each
  if (C !== layers[0]!.from || H !== W || H < smallest)
    throw new ShapeError(
      `discriminate: images [${images.shape}] do not fit; pass [N, S, S, ${layers[0]!.from}] with S of ${smallest} at least, or use fewer layers`,
    );
  const statistics: Record<string, tf.Tensor> = {};
  let x = images;
  for (const { index, stride, norm, last } of layers) {
    x = paddedConv(x, parameter<tf.Tensor4D>(params, `main.${index}.weight`), stride);
    if (norm === undefined) x = tf.add(x, parameter(params, `main.${index}.bias`));
    else x = batchNorm(params, `main.${norm}`, x, training ? statistics : undefined);
    if (!last) x = leakyRelu(x);
  }
  return { logits: x, statistics };
}

/** In training, the gradient also goes through the batch's mean and variance. @param updated takes the next running statistics */
function batchNorm(
  params: Params,
  name: string,
  x: tf.Tensor4D,
  updated: Record<string, tf.Tensor> | undefined,
): tf.Tensor4D {
  const of = (part: string) => parameter<tf.Tensor1D>(params, `${name}.${part}`);
  const axes = [0, 1, 2];
  const mean = updated ? tf.mean(x, axes) : of("running_mean"); // [C]
  const centred = tf.sub(x, mean);
  const variance = updated ? tf.mean(tf.square(centred), axes) : of("running_var"); // [C]
  if (updated) {
    const count = tf.sum(tf.slice(tf.onesLike(x), [0, 0, 0, 0], [-1, -1, -1, 1]));
    const unbiased = tf.mul(variance, tf.div(count, tf.sub(count, 1)));
    const next = (before: tf.Tensor, now: tf.Tensor) => tf.add(tf.mul(before, 1 - MOMENTUM), tf.mul(now, MOMENTUM));
    updated[`${name}.running_mean`] = next(of("running_mean"), mean);
    updated[`${name}.running_var`] = next(of("running_var"), unbiased);
  }
  const scale = tf.mul(of("weight"), tf.rsqrt(tf.add(variance, EPSILON)));
  return tf.add(tf.mul(centred, scale), of("bias"));
}

/** Written out: `tf.leakyRelu` has no gradient on every backend. */
const leakyRelu = (x: tf.Tensor4D): tf.Tensor4D => tf.add(tf.mul(x, SLOPE), tf.mul(tf.relu(x), 1 - SLOPE));
