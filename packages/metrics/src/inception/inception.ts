import { TensorARError } from "@tensorar/core";
import * as tf from "@tensorflow/tfjs-core";
import { BLOCKS, type Step, type Unit } from "./layout";

// N images

/** Parameters by their names in the checkpoint. */
export type Params = Readonly<Record<string, tf.Tensor>>;

/** What FID's Inception-v3 makes of images. */
export type InceptionFeatures = {
  /** [N, 2048]: pooled features, those of FID. */
  readonly pooled: tf.Tensor2D;
  /** [N, 17, 17, 7]: a part of an inner layer, that of sFID. */
  readonly spatial: tf.Tensor4D;
  /** [N, 1008]: class logits without bias, those of the Inception Score. */
  readonly logits: tf.Tensor2D;
};

const SIDE = 299;
const EPSILON = 1e-3;
/** Layer and channels of {@link InceptionFeatures.spatial}. */
const SPATIAL = { name: "Mixed_6d.branch1x1", channels: 7 };

/**
 * Images at the network's size: bilinear with half-pixel centers and without smoothing, then to [-1, 1].
 * Source: pytorch-fid `inception.py`. The evaluator of openai/guided-diffusion resizes in another way, so that features of
 * images that are not 299 pixels wide differ between the two; compare within one.
 *
 * @param images [N, H, W, 3] in 0 … 255
 * @returns [N, 299, 299, 3]
 */
export function resizeForInception(images: tf.Tensor4D): tf.Tensor4D {
  return tf.tidy(() => {
    const unit = tf.div(images, 255) as tf.Tensor4D;
    return tf.sub(tf.mul(between(between(unit, 2), 1), 2), 1) as tf.Tensor4D;
  });
}

/**
 * Linear interpolation along one axis, to 299. The ratio of the sizes is rounded to float32 as in PyTorch, which shows in
 * the sixth digit of the result.
 */
function between(images: tf.Tensor4D, axis: 1 | 2): tf.Tensor4D {
  const size = images.shape[axis];
  const scale = Math.fround(size / SIDE);
  const positions = Array.from({ length: SIDE }, (_, i) => Math.max(0, scale * (i + 0.5) - 0.5));
  const lower = positions.map(Math.floor);
  const upper = lower.map((position) => Math.min(position + 1, size - 1));
  const shape = [1, 1, 1, 1] as [number, number, number, number];
  shape[axis] = SIDE;
  const fraction = tf.tensor4d(
    positions.map((position, i) => position - lower[i]!),
    shape,
  );
  const at = (indices: number[]) => tf.gather(images, tf.tensor1d(indices, "int32"), axis);
  return tf.add(tf.mul(at(lower), tf.sub(1, fraction)), tf.mul(at(upper), fraction));
}

/**
 * The Inception-v3 of FID, with the weights of the TensorFlow graph of 2015 in PyTorch's layouts. Batch norms are folded
 * into the convolutions. Traceable; eagerly the caller owns the results.
 * Source: pytorch-fid `inception.py`; `spatial` and `logits` are those of openai/guided-diffusion's evaluator, of which the
 * first is inferred from the order of layers: channels 0 … 6 of `mixed_6/conv`.
 *
 * @param images [N, H, W, 3] in 0 … 255
 */
export function inceptionFeatures(params: Params, images: tf.Tensor4D): InceptionFeatures {
  return tf.tidy(() => {
    const outputs = inceptionOutputs(params, resizeForInception(images));
    const last = outputs.get("Mixed_7c")!; // [N, 8, 8, 2048]
    const pooled = tf.mean(last, [1, 2]) as tf.Tensor2D;
    const spatial = tf.slice(outputs.get(SPATIAL.name)!, [0, 0, 0, 0], [-1, -1, -1, SPATIAL.channels]);
    const logits = tf.matMul<tf.Tensor2D>(pooled, parameter<tf.Tensor2D>(params, "fc.weight"), false, true);
    return { pooled, spatial, logits };
  });
}

/**
 * Outputs of all blocks and convolutions by name. Traceable.
 * @param x [N, 299, 299, 3] in [-1, 1]
 */
export function inceptionOutputs(params: Params, x: tf.Tensor4D): Map<string, tf.Tensor4D> {
  const outputs = new Map<string, tf.Tensor4D>();
  let h = x;
  for (const { name, steps } of BLOCKS) {
    h = run(params, steps, h, outputs);
    outputs.set(name, h);
  }
  return outputs;
}

const run = (params: Params, steps: readonly Step[], x: tf.Tensor4D, outputs: Map<string, tf.Tensor4D>): tf.Tensor4D =>
  steps.reduce((h, step) => runStep(params, step, h, outputs), x);

function runStep(params: Params, step: Step, x: tf.Tensor4D, outputs: Map<string, tf.Tensor4D>): tf.Tensor4D {
  switch (step.kind) {
    case "unit": {
      const y = runUnit(params, step, x);
      outputs.set(step.name, y);
      return y;
    }
    case "shrink":
      return tf.maxPool(x, 3, 2, "valid");
    case "mean":
      return tf.avgPool(x, 3, 1, "same");
    case "largest":
      return tf.maxPool(x, 3, 1, "same");
    case "fork":
      return tf.concat(
        step.paths.map((path) => run(params, path, x, outputs)),
        3,
      );
  }
}

/** Convolution, batch norm with running statistics, ReLU. */
function runUnit(params: Params, { name, stride, valid }: Unit, x: tf.Tensor4D): tf.Tensor4D {
  const of = <T extends tf.Tensor>(part: string) => parameter<T>(params, `${name}.${part}`);
  const scale = tf.mul(of("bn.weight"), tf.rsqrt(tf.add(of("bn.running_var"), EPSILON))); // [O]
  const shift = tf.sub(of("bn.bias"), tf.mul(of("bn.running_mean"), scale));
  const filter = tf.mul(tf.transpose(of("conv.weight"), [2, 3, 1, 0]), scale) as tf.Tensor4D; // [kh, kw, I, O]
  return tf.relu(tf.add(tf.conv2d(x, filter, stride, valid ? "valid" : "same"), shift));
}

function parameter<T extends tf.Tensor>(params: Params, name: string): T {
  const tensor = params[name];
  if (tensor === undefined)
    throw new TensorARError(
      `inception: parameter "${name}" is missing; load it with loadInception of @tensorar/metrics/node`,
    );
  return tensor as T;
}
