import "./backend";
import { expectTensor, type ReferenceCase, requireCases, type Tolerance, valuesOf } from "@tensorar/testing";
import * as tf from "@tensorflow/tfjs-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import {
  adversarialWeight,
  type DiscriminatorLoss,
  discriminate,
  discriminatorLoss,
  type GeneratorLoss,
  generatorLoss,
  initPatchGan,
  isStatistic,
  type PatchGanConfig,
  patchGanShapes,
} from "../src";
import { channelsFirst, channelsLast } from "./layout";
import { casesFrom } from "./vq-cases";

const cases = casesFrom("FoundationVision/LlamaGen", "/discriminator_patchgan.py").filter(({ has }) =>
  has("logits_real"),
);
requireCases("PatchGAN", cases);

for (const each of cases) describe(each.name, () => parity(each));

const asLoss = (name: string) => name.replace("_", "-");

function parity(given: ReferenceCase): void {
  const { expected, json } = given;
  const config = json.config as PatchGanConfig;
  const tolerances = json.tolerances as Record<"eval" | "train" | "losses" | "grad", Tolerance>;
  let params: Record<string, tf.Tensor>;
  beforeAll(() => {
    params = given.params();
  });
  afterAll(() => tf.dispose(params));

  test("has the original's parameters", () => {
    const original = json.weights!.map(({ name, shape }) => [name, shape]);
    expect(patchGanShapes(config)).toEqual(Object.fromEntries(original));
    const learned = Object.keys(patchGanShapes(config)).filter((name) => !isStatistic(name));
    expect(learned.sort()).toEqual([...(json.grad_names as string[])].sort());
  });

  test("tells patches apart, and keeps statistics in training", () => {
    tf.tidy(() => {
      const { logits } = discriminate(params, config, channelsLast(expected("x")), false);
      expectTensor("eval", channelsFirst(logits), expected("eval"), tolerances.eval);
      const trained = discriminate(params, config, channelsLast(expected("x")), true);
      expectTensor("train", channelsFirst(trained.logits), expected("train"), tolerances.train);
      for (const [name, value] of Object.entries(trained.statistics))
        expectTensor(name, valuesOf(value), expected(`after_train.${name}`), tolerances.train);
      const after = { ...params, ...trained.statistics };
      for (const [name, image] of [
        ["real", "x"],
        ["fake", "y"],
      ] as const) {
        const { logits } = discriminate(after, config, channelsLast(expected(image)), false);
        expectTensor(name, channelsFirst(logits), expected(`logits_${name}`), tolerances.eval);
      }
    });
  });

  test("has the original's gradients", () => {
    tf.tidy(() => {
      const names = json.grad_names as string[];
      const learned = names.map((name) => params[name]!);
      const loss = (images: tf.Tensor, ...weights: tf.Tensor[]) => {
        const own = { ...params, ...Object.fromEntries(names.map((name, i) => [name, weights[i]!])) };
        return tf.mean(tf.square(discriminate(own, config, images as tf.Tensor4D, true).logits)) as tf.Scalar;
      };
      const [ofImage, ...others] = tf.grads(loss)([channelsLast(expected("x")), ...learned]) as tf.Tensor[];
      expectTensor("x", channelsFirst(ofImage!), expected("train.grad_x"), tolerances.grad);
      const norms = others.map((each) => tf.norm(each).dataSync()[0]!);
      const actual = { shape: [norms.length], data: Float32Array.from(norms) };
      expectTensor("norms", actual, expected("train.grad_norms"), tolerances.grad);
    });
  });

  test("has the original's losses", () => {
    tf.tidy(() => {
      const logits = (name: string) => tf.tensor(expected(`logits_${name}`).data);
      const losses = Object.keys(json.tensors).filter((name) => name.startsWith("loss."));
      expect(losses.length).toBeGreaterThan(0);
      for (const name of losses) {
        const [, kind, role] = /^loss\.(.*)_([dg])$/.exec(name)!;
        const loss =
          role === "d"
            ? discriminatorLoss(asLoss(kind!) as DiscriminatorLoss, logits("real"), logits("fake"))
            : generatorLoss(asLoss(kind!) as GeneratorLoss, logits("fake"));
        expectTensor(name, valuesOf(loss), expected(name), tolerances.losses);
      }
    });
    for (const [address, weight] of Object.entries(json.adopt_weight as Record<string, number>)) {
      const [step, start] = address.match(/\d+/g)!.map(Number) as [number, number];
      const largest = Math.max(...Object.values(json.adopt_weight as Record<string, number>));
      expect(adversarialWeight(largest, step, start)).toBe(weight);
    }
  });
}

test("fresh discriminators depend on the seed, and images that do not fit are refused", () => {
  tf.tidy(() => {
    const config = { ndf: 4, n_layers: 2 };
    const params = initPatchGan(config, 1);
    expect(Object.keys(params)).toEqual(Object.keys(patchGanShapes(config)));
    const { logits } = discriminate(params, config, tf.zeros([1, 16, 16, 3]), false);
    expect(logits.shape).toEqual([1, 2, 2, 1]);
    expect([...params["main.0.weight"]!.dataSync()]).not.toEqual([
      ...initPatchGan(config, 2)["main.0.weight"]!.dataSync(),
    ]);
    expect(() => discriminate(params, config, tf.zeros([1, 16, 16, 1]), false)).toThrow(/pass \[N, S, S, 3\]/);
    const { logits: smallest } = discriminate(params, config, tf.zeros([1, 12, 12, 3]), false);
    expect(smallest.shape).toEqual([1, 1, 1, 1]);
    expect(() => discriminate(params, config, tf.zeros([1, 11, 11, 3]), false)).toThrow(
      /S of 12 at least, or use fewer/,
    );
    expect(() => patchGanShapes({ n_layers: 0 })).toThrow(/n_layers = 0 is out of range/);
  });
});
