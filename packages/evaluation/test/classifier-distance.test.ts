import { toParams } from "@tensorar/model";
import { createStream } from "@tensorar/noise";
import { chooseEngine } from "@tensorar/training";
import * as tf from "@tensorflow/tfjs-core";
import { beforeAll, expect, test } from "vitest";
import { type ClassifierConfig, classifierDistance, initClassifier } from "../src/index";

const config: ClassifierConfig = { imageSize: 8, widths: [4, 6], hidden: 5, parts: [{ name: "style", values: ["a"] }] };

beforeAll(async () => {
  await chooseEngine("cpu");
});

const images = (name: string) => {
  const random = createStream(4, name);
  return tf.tensor4d(
    Float32Array.from({ length: 2 * 8 * 8 * 3 }, () => 2 * random.uniform() - 1),
    [2, 8, 8, 3],
  );
};

test("the distance is 0 for an image and itself, alike in both directions, and grows with what is changed", () => {
  tf.tidy(() => {
    const params = toParams(initClassifier(config, 1));
    const [a, b] = [images("a"), images("b")];
    const distance = (x: tf.Tensor, y: tf.Tensor) => [...classifierDistance(params, config, x, y).dataSync()];
    expect(distance(a, a)).toEqual([0, 0]);
    expect(distance(a, b)).toEqual(distance(b, a));
    const near = distance(a, tf.add(tf.mul(a, 0.9), tf.mul(b, 0.1)));
    for (const [i, far] of distance(a, b).entries()) expect(far).toBeGreaterThan(near[i]!);
    // Each pixel's features have length 1, so their squared difference is at most 4 at each of the two resolutions.
    for (const each of distance(a, b)) expect(each).toBeLessThanOrEqual(8);
  });
});

test("its gradient is finite, also for images that are equal", () => {
  tf.tidy(() => {
    const params = toParams(initClassifier(config, 1));
    const a = images("a");
    for (const b of [a, images("b")]) {
      const gradient = tf.grad((x: tf.Tensor) => tf.sum(classifierDistance(params, config, a, x)))(b);
      expect(gradient.dataSync().every(Number.isFinite)).toBe(true);
    }
  });
});
