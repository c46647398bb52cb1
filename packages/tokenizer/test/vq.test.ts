import "./backend";
import { expectTensor, valuesOf } from "@tensorar/testing";
import * as tf from "@tensorflow/tfjs-core";
import { expect, test } from "vitest";
import { decodeVq, encodeVq, gridOf, initVq, type VqConfig, vqLosses } from "../src";
import { randomCodes, randomImages, TINY } from "./tiny";

/** The same arithmetic on other shapes, which a backend may sum in another order: some roundings of values up to 10. */
const ROUNDING = { atol: 1e-5, rtol: 1e-5 };

function withParams(config: VqConfig, run: (params: Record<string, tf.Tensor>) => void): void {
  tf.tidy(() => run(initVq(config, 3)));
}

const variants: Record<string, Partial<VqConfig>> = {
  "two levels": {},
  "one level": { encoder_ch_mult: [2], decoder_ch_mult: [2] },
  "three levels of different widths": { encoder_ch_mult: [1, 1, 2], decoder_ch_mult: [1, 2, 1] },
  "one channel": { in_channels: 1 },
  "plain codes": { codebook_l2_norm: false },
};

test.each(Object.keys(variants))("%s: images that are not square keep their shape, whatever the batch", (name) => {
  const config = { ...TINY, ...variants[name] };
  const channels = config.in_channels ?? 3;
  const size: [number, number] = [8, 12];
  const grid = gridOf(config, size);
  withParams(config, (params) => {
    const images = randomImages(name, [3, ...size, channels]);
    const together = encodeVq(params, config, images);
    const { codes, features, latents, quantized } = together;
    expect(codes.shape).toEqual([3, grid[0] * grid[1]]);
    expect(codes.dtype).toBe("int32");
    expect(features.shape).toEqual([3, ...grid, config.z_channels]);
    expect(latents.shape).toEqual([3, ...grid, config.codebook_embed_dim]);
    expect(quantized.shape).toEqual(latents.shape);
    const decoded = decodeVq(params, config, codes, grid);
    expect(decoded.shape).toEqual(images.shape);

    const at = (tensor: tf.Tensor, i: number) => tf.slice(tensor, [i], [1]);
    for (let i = 0; i < 3; i++) {
      const alone = encodeVq(params, config, at(images, i) as tf.Tensor4D);
      expectTensor("latents", valuesOf(alone.latents), valuesOf(at(latents, i)), ROUNDING);
      expect(alone.codes.dataSync()).toEqual(at(codes, i).dataSync());
      const image = decodeVq(params, config, alone.codes, grid);
      expectTensor("decoded", valuesOf(image), valuesOf(at(decoded, i)), ROUNDING);
    }
  });
});

test("different codes decode to different images, and each code changes its surroundings", () => {
  withParams(TINY, (params) => {
    const codes = randomCodes("codes", [1, 16], TINY.codebook_size);
    const before = decodeVq(params, TINY, codes, [4, 4]);
    for (const place of [0, 7, 15]) {
      const changed = codes.dataSync<"int32">().slice();
      changed[place] = (changed[place]! + 1) % TINY.codebook_size;
      const after = decodeVq(params, TINY, tf.tensor2d(changed, [1, 16], "int32"), [4, 4]);
      const top = 2 * Math.floor(place / 4);
      const left = 2 * (place % 4);
      const difference = tf.max(tf.abs(tf.slice(tf.sub(after, before), [0, top, left, 0], [1, 2, 2, 3])));
      expect(difference.dataSync()[0]).toBeGreaterThan(1e-3);
    }
  });
});

test("the reconstruction loss is of the decoded codes, squared and absolute as weighted, and the total is the sum", () => {
  withParams(TINY, (params) => {
    const images = randomImages("images", [2, 8, 8, 3]);
    const { codes } = encodeVq(params, TINY, images);
    const decoded = decodeVq(params, TINY, codes, [4, 4]).dataSync();
    const errors = Array.from(images.dataSync(), (value, i) => decoded[i]! - value);
    const mean = (values: number[]) => values.reduce((a, b) => a + b, 0) / values.length;
    const squared = mean(errors.map((error) => error ** 2));
    const absolute = mean(errors.map(Math.abs));
    const weightings = [{}, { l2: 2 }, { l2: 0, l1: 1 }, { l2: 0.5, l1: 3 }];
    for (const weights of weightings) {
      const { l2 = 1, l1 = 0 }: { l2?: number; l1?: number } = weights;
      const losses = vqLosses(params, TINY, images, weights);
      const expected = { shape: [], data: [l2 * squared + l1 * absolute] };
      expectTensor("reconstruction", valuesOf(losses.reconstruction), expected, ROUNDING);
      const { reconstruction, vq_loss, commit_loss, entropy_loss } = losses;
      const parts = [reconstruction, vq_loss, commit_loss, entropy_loss].map((part) => part.dataSync()[0]!);
      const total = { shape: [], data: [parts.reduce((a, b) => a + b, 0)] };
      expectTensor("total", valuesOf(losses.total), total, ROUNDING);
      expect(losses.codes.dataSync()).toEqual(codes.dataSync());
    }
  });
});

test("gradients reach every parameter, and the decoder's are the slope of the loss", () => {
  withParams(TINY, (initial) => {
    const images = randomImages("images", [2, 8, 8, 3]);
    const names = Object.keys(initial);
    const loss = (...tensors: tf.Tensor[]) =>
      vqLosses(Object.fromEntries(names.map((name, i) => [name, tensors[i]!])), TINY, images).total;
    const values = names.map((name) => initial[name]!);
    const { value, grads } = tf.valueAndGrads(loss)(values);
    for (const [i, grad] of grads.entries()) {
      // A bias of keys adds the same to all scores of a query, which a softmax does not see.
      if (names[i]!.endsWith(".k.bias")) continue;
      expect(tf.max(tf.abs(grad)).dataSync()[0], names[i]!).toBeGreaterThan(0);
    }

    // Before the decoder, gradients are estimates: straight through the choice of a code, and stopped in the losses.
    const isAfterCodes = names.map((name) => /^(decoder|post_quant_conv)\./.test(name));
    const STEP = 1e-3;
    const moved = loss(...values.map((each, i) => (isAfterCodes[i] ? tf.sub(each, tf.mul(grads[i]!, STEP)) : each)));
    const squares = grads.map((grad, i) => (isAfterCodes[i] ? tf.sum(tf.square(grad)).dataSync()[0]! : 0));
    const slope = (value.dataSync()[0]! - moved.dataSync()[0]!) / STEP / squares.reduce((a, b) => a + b, 0);
    // 1 to first order; curvature times the step takes something off.
    expect(slope).toBeGreaterThan(0.98);
    expect(slope).toBeLessThan(1.02);
  });
});
