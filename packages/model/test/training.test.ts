import "@tensorflow/tfjs";
import { expectClose } from "@tensorar/testing";
import * as tf from "@tensorflow/tfjs-core";
import { afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { adamW, emaUpdate, initAdamW, windowLoss } from "../src";
import { randomCodes, randomTensor } from "./random";

beforeAll(async () => {
  await tf.setBackend("cpu");
});
beforeEach(() => tf.engine().startScope());
afterEach(() => tf.engine().endScope());

const FLOAT32 = { atol: 1e-6, rtol: 1e-5 };

describe("windowLoss", () => {
  const [R, T, k, V] = [2, 5, 3, 7];
  const logits = () => randomTensor("logits", [R, T, k, V], 2);
  const targets = () => {
    const codes = randomCodes("targets", [R, T, k], V);
    return codes.map((code, i) => ((Math.floor(i / k) % T) + (i % k) < T ? code : -1)); // PAD past the end
  };

  /** The formula, term by term in float64. */
  function plainLoss(weights: number[]) {
    const values = logits().dataSync();
    const sums = { loss: 0, weight: 0, entropy: new Array<number>(k).fill(0), hits: [0, 0, 0], count: [0, 0, 0] };
    targets().forEach((target, i) => {
      if (target < 0) return;
      const row = Array.from(values.subarray(i * V, (i + 1) * V));
      const entropy = Math.log(row.reduce((sum, x) => sum + Math.exp(x), 0)) - row[target]!;
      const j = i % k;
      sums.loss += weights[j]! * entropy;
      sums.weight += weights[j]!;
      sums.entropy[j]! += entropy;
      sums.hits[j]! += row.indexOf(Math.max(...row)) === target ? 1 : 0;
      sums.count[j]! += 1;
    });
    return {
      loss: sums.loss / sums.weight,
      crossEntropy: sums.entropy.map((sum, j) => sum / sums.count[j]!),
      accuracy: sums.hits.map((hits, j) => hits / sums.count[j]!),
    };
  }

  test.each([{ weights: undefined }, { weights: [1, 0.5, 0] }])(
    "equals the formula, weights $weights",
    ({ weights }) => {
      const actual = windowLoss(logits(), tf.tensor(targets(), [R, T, k], "int32"), { weights });
      const expected = plainLoss(weights ?? [1, 1, 1]);
      expectClose("loss", actual.loss.dataSync(), [expected.loss], FLOAT32);
      expectClose("crossEntropy", actual.crossEntropy.dataSync(), expected.crossEntropy, FLOAT32);
      expectClose("accuracy", actual.accuracy.dataSync(), expected.accuracy, FLOAT32);
    },
  );

  test("smoothed labels: the loss and its gradient are those of the mixed targets, the cross-entropies stay", () => {
    const [smoothing, count] = [0.2, targets().filter((target) => target >= 0).length];
    const target = tf.tensor(targets(), [R, T, k], "int32");
    const options = { labelSmoothing: smoothing };
    const smoothed = windowLoss(logits(), target, options);
    const plain = windowLoss(logits(), target);
    expectClose("crossEntropy", smoothed.crossEntropy.dataSync(), plain.crossEntropy.dataSync(), FLOAT32);
    const values = logits().dataSync();
    let loss = 0;
    const gradient = new Array<number>(values.length).fill(0);
    targets().forEach((code, i) => {
      if (code < 0) return;
      const row = Array.from(values.subarray(i * V, (i + 1) * V));
      const sum = row.reduce((total, x) => total + Math.exp(x), 0);
      for (const [j, x] of row.entries()) {
        const mixed = smoothing / V + (j === code ? 1 - smoothing : 0);
        loss -= (mixed * (x - Math.log(sum))) / count;
        gradient[i * V + j] = (Math.exp(x) / sum - mixed) / count;
      }
    });
    expectClose("loss", smoothed.loss.dataSync(), [loss], FLOAT32);
    const actual = tf.grad((x: tf.Tensor) => windowLoss(x, target, options).loss)(logits());
    expectClose("gradient", actual.dataSync(), gradient, FLOAT32);
    expect(() => windowLoss(logits(), target, { labelSmoothing: 1 })).toThrow(/labelSmoothing 1 is out of range/);
  });

  test.each([[[1, 1]], [[1, 1, -1]], [[0, 0, 0]], [[1, 1, Number.NaN]]])("weights %j are refused", (weights) => {
    const target = tf.tensor(targets(), [R, T, k], "int32");
    expect(() => windowLoss(logits(), target, { weights })).toThrow(/weights \[.*\] do not fit window 3/);
  });
});

describe("adamW", () => {
  const options = { betas: [0.9, 0.95] as const, eps: 1e-8, weightDecay: 0.05, clip: 1 };
  const params = () => ({ matrix: randomTensor("matrix", [2, 3]), bias: randomTensor("bias", [3]) });

  /** PyTorch's update in float64: `steps` times the same gradient of 2 · value. */
  function plainSteps(learningRate: number, steps: number): Record<string, number[]> {
    const values = Object.fromEntries(Object.entries(params()).map(([name, t]) => [name, Array.from(t.dataSync())]));
    const moments = Object.fromEntries(Object.entries(values).map(([name, v]) => [name, v.map(() => [0, 0])]));
    for (let t = 1; t <= steps; t++) {
      const grads = Object.fromEntries(Object.entries(values).map(([name, v]) => [name, v.map((x) => 2 * x)]));
      const norm = Math.sqrt(
        Object.values(grads)
          .flat()
          .reduce((sum, g) => sum + g * g, 0),
      );
      const scale = Math.min(1, options.clip / (norm + 1e-6));
      for (const [name, v] of Object.entries(values)) {
        for (const i of v.keys()) {
          const g = grads[name]![i]! * scale;
          const m = moments[name]![i]!;
          m[0] = 0.9 * m[0]! + 0.1 * g;
          m[1] = 0.95 * m[1]! + 0.05 * g * g;
          if (name === "matrix") v[i] = v[i]! * (1 - learningRate * options.weightDecay);
          v[i]! -= (learningRate * (m[0]! / (1 - 0.9 ** t))) / (Math.sqrt(m[1]! / (1 - 0.95 ** t)) + options.eps);
        }
      }
    }
    return values;
  }

  test("rates of parameters: each as with that learning rate, and 0 leaves value and norm as if it were not there", () => {
    const initial = params();
    const grads = { matrix: tf.mul(initial.matrix, 2), bias: tf.mul(initial.bias, 2) };
    const scalars = { learningRate: tf.scalar(0.1), step: tf.scalar(1, "int32") };
    const rateOf = (name: string) => (name === "matrix" ? tf.scalar(0.25) : tf.scalar(0));
    const next = adamW(initial, grads, initAdamW(initial), { ...options, ...scalars, rateOf });
    const alone = { matrix: initial.matrix };
    const slow = { ...scalars, learningRate: tf.scalar(0.025) };
    const expected = adamW(alone, { matrix: grads.matrix }, initAdamW(alone), { ...options, ...slow });
    expectClose("matrix", next.params.matrix!.dataSync(), expected.params.matrix!.dataSync(), FLOAT32);
    expectClose("norm", next.gradNorm.dataSync(), expected.gradNorm.dataSync(), FLOAT32);
    expect([...next.params.bias!.dataSync()]).toEqual([...initial.bias.dataSync()]);
  });

  test("equals PyTorch's update, with clipping and decay of matrices only", () => {
    let current: Record<string, tf.Tensor> = params();
    let state = initAdamW(current);
    for (let step = 1; step <= 4; step++) {
      const grads = Object.fromEntries(Object.entries(current).map(([name, value]) => [name, tf.mul(value, 2)]));
      const scalars = { learningRate: tf.scalar(0.1), step: tf.scalar(step, "int32") };
      ({ params: current, state } = adamW(current, grads, state, { ...options, ...scalars }));
    }
    for (const [name, expected] of Object.entries(plainSteps(0.1, 4))) {
      expectClose(name, current[name]!.dataSync(), expected, FLOAT32);
    }
  });

  test("a parameter without a gradient is named", () => {
    const current = params();
    const scalars = { learningRate: tf.scalar(0.1), step: tf.scalar(1) };
    const call = () => adamW(current, { bias: current.bias }, initAdamW(current), { ...options, ...scalars });
    expect(call).toThrow(/"matrix" has no gradient/);
  });
});

describe("emaUpdate", () => {
  test("mixes by the decay", () => {
    const { w } = emaUpdate({ w: tf.tensor1d([1, 2]) }, { w: tf.tensor1d([3, -2]) }, 0.75);
    expectClose("average", w!.dataSync(), [1.5, 1], FLOAT32);
  });

  test("refuses records that differ, and a decay out of range", () => {
    const [a, b] = [{ a: tf.scalar(1) }, { b: tf.scalar(1) }];
    expect(() => emaUpdate(a, b, 0.5)).toThrow(/"a" is averaged but not a parameter/);
    expect(() => emaUpdate({}, b, 0.5)).toThrow(/"b" has no average/);
    expect(() => emaUpdate(a, a, 1.5)).toThrow(/decay 1.5/);
  });
});
