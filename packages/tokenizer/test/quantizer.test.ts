import "./backend";
import { createStream } from "@tensorar/noise";
import { expectTensor, valuesOf } from "@tensorar/testing";
import * as tf from "@tensorflow/tfjs-core";
import { describe, expect, test } from "vitest";
import { resolveConfig } from "../src/config";
import { entropyLoss } from "../src/quantizer/entropy";
import { quantize, quantizerLosses } from "../src/quantizer/quantize";
import { TINY } from "./tiny";

const CODEBOOK = "quantize.embedding.weight";

function normal(purpose: string, rows: number, columns: number, scale = 1): number[][] {
  const stream = createStream(1, purpose);
  const row = () => Array.from({ length: columns }, () => Math.fround(scale * stream.normal()));
  return Array.from({ length: rows }, row);
}

const sum = (values: readonly number[]): number => values.reduce((a, b) => a + b, 0);
const unit = (v: readonly number[]): number[] => v.map((x) => x / Math.hypot(...v));
const squaredDistance = (a: readonly number[], b: readonly number[]): number => sum(a.map((x, i) => (x - b[i]!) ** 2));

/** `compute_entropy_loss` as the original writes it, in float64. */
function originalEntropy(logits: readonly (readonly number[])[]): number {
  const probabilities = logits.map((row) => {
    const exponentials = row.map((x) => Math.exp(x - Math.max(...row)));
    return exponentials.map((x) => x / sum(exponentials));
  });
  const logProbabilities = logits.map((given) => {
    const row = given.map((x) => x + 1e-5);
    const largest = Math.max(...row);
    const logSum = largest + Math.log(sum(row.map((x) => Math.exp(x - largest))));
    return row.map((x) => x - logSum);
  });
  const average = logits[0]!.map((_, code) => sum(probabilities.map((row) => row[code]!)) / logits.length);
  const averageEntropy = -sum(average.map((p) => p * Math.log(p + 1e-5)));
  const perRow = probabilities.map((row, i) => -sum(row.map((p, code) => p * logProbabilities[i]![code]!)));
  return sum(perRow) / logits.length - averageEntropy;
}

describe.each([true, false])("codebook_l2_norm %s", (l2) => {
  const config = resolveConfig({ ...TINY, codebook_l2_norm: l2 });
  const [codes, latents] = [normal("codes", 24, 4), normal("latents", 200, 4, 2)];
  const [usedCodes, usedLatents] = l2 ? [codes.map(unit), latents.map(unit)] : [codes, latents];

  test("chooses the nearest code of every latent", () => {
    tf.tidy(() => {
      const result = quantize({ [CODEBOOK]: tf.tensor2d(codes) }, config, tf.tensor2d(latents));
      const chosen = result.codes.arraySync();
      chosen.forEach((code, i) => {
        const distances = usedCodes.map((each) => squaredDistance(each, usedLatents[i]!));
        // Two codes at almost the same distance may be either: float32 of squares up to 100 is good to 1e-5.
        expect(distances[code]! - Math.min(...distances)).toBeLessThan(1e-5);
      });
      expect(new Set(chosen).size).toBeGreaterThan(10);
      const rows = { shape: [200, 4], data: chosen.flatMap((code) => usedCodes[code]!) };
      expectTensor("chosen", valuesOf(result.chosen), rows, { atol: 1e-6, rtol: 1e-6 }); // some roundings of float32
    });
  });

  test("losses are mean squared distances and the entropy loss of affinities over 0.01", () => {
    tf.tidy(() => {
      const result = quantize({ [CODEBOOK]: tf.tensor2d(codes) }, config, tf.tensor2d(latents));
      const losses = quantizerLosses(config, result);
      const distances = usedLatents.map((latent) =>
        Math.min(...usedCodes.map((code) => squaredDistance(code, latent))),
      );
      const mean = sum(distances) / (200 * 4);
      const scalar = (value: number) => ({ shape: [], data: [value] });
      const fewRoundings = { atol: 0, rtol: 1e-5 };
      expectTensor("vq_loss", valuesOf(losses.vq_loss), scalar(mean), fewRoundings);
      expectTensor("commit_loss", valuesOf(losses.commit_loss), scalar(0.25 * mean), fewRoundings);
      const logits = usedLatents.map((latent) => usedCodes.map((code) => -squaredDistance(code, latent) / 0.01));
      // Dividing by 0.01 makes of float32's 1e-6 up to 1e-4.
      const amplified = { atol: 0, rtol: 1e-3 };
      expectTensor("entropy_loss", valuesOf(losses.entropy_loss), scalar(0.1 * originalEntropy(logits)), amplified);
    });
  });
});

describe("entropyLoss", () => {
  const cases: Record<string, number[][]> = {
    "mild logits": normal("mild", 7, 9),
    "one certain code for all rows": Array.from({ length: 5 }, () => [500, 0, 0, -500]),
    "a certain code each": [0, 1, 2, 3].map((code) => [0, 1, 2, 3].map((other) => (code === other ? 300 : 0))),
    "no preference": [
      [1, 1, 1],
      [-2, -2, -2],
    ],
    "large logits": normal("large", 6, 8, 100),
    "one row": normal("one", 1, 5),
  };
  // The sums have a few roundings of values up to ln V, about 2.
  const tolerance = { atol: 2e-6, rtol: 1e-5 };

  test.each(Object.keys(cases))("of %s is the original's formula in float64, and so is its gradient", (name) => {
    const logits = cases[name]!;
    const { value, grad } = tf.valueAndGrad((x: tf.Tensor) => entropyLoss(x as tf.Tensor2D))(tf.tensor2d(logits));
    expectTensor("value", valuesOf(value), { shape: [], data: [originalEntropy(logits)] }, tolerance);
    const STEP = 1e-5; // error of central differences in float64: about 1e-10
    const slope = (i: number, j: number) => {
      const shifted = (by: number) =>
        originalEntropy(logits.map((row, r) => row.map((x, c) => (r === i && c === j ? x + by : x))));
      return (shifted(STEP) - shifted(-STEP)) / (2 * STEP);
    };
    const slopes = logits.flatMap((row, i) => row.map((_, j) => slope(i, j)));
    expectTensor("gradient", valuesOf(grad), { shape: [logits.length, logits[0]!.length], data: slopes }, tolerance);
    tf.dispose([value, grad]);
  });
});
