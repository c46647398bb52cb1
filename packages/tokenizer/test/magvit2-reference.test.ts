import "./backend";
import { expectTensor, type ReferenceCase, requireCases, valuesOf } from "@tensorar/testing";
import * as tf from "@tensorflow/tfjs-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import {
  createTokenizer,
  decodeMagvit2,
  encodeMagvit2,
  joinCodes,
  type LfqLossWeights,
  lfqLosses,
  type Magvit2Config,
  magvit2Shapes,
  splitCodes,
} from "../src";
import { codesOf, vectorsOf } from "../src/magvit2/lfq";
import { depthToSpace } from "../src/ops/depth-to-space";
import { channelsFirst, channelsLast, expectCodes } from "./layout";
import { casesFrom } from "./vq-cases";

const REPOSITORY = "TencentARC/SEED-Voken";
const tokenizers = casesFrom(REPOSITORY, "/improved_model.py");
const quantizers = casesFrom(REPOSITORY, "/lookup_free_quantize.py").filter(({ json }) => "train" in json);
requireCases("Open-MAGVIT2's tokenizers", [...tokenizers, ...quantizers]);

for (const each of tokenizers) describe(each.name, () => parity(each));
for (const each of quantizers) describe(each.name, () => quantizerParity(each));

/** The original adds `sign − z` to z, which is one rounding of float32 away from the sign. */
const ONE_ROUNDING = { atol: 1e-6, rtol: 0 };
const EXACT = { atol: 0, rtol: 0 };

function parity(given: ReferenceCase): void {
  const {
    expected,
    json: { tolerances },
  } = given;
  const config = given.json.config as Magvit2Config;
  const { gridOf, codebookSize } = createTokenizer({ kind: "magvit2", config });
  const image = expected("image");
  const N = image.shape[0]!;
  const grid = gridOf([image.shape[2]!, image.shape[3]!]);
  const bits = config.z_channels;
  const codes = (name: string) => tf.tensor2d(given.integers(name), [N, grid[0] * grid[1]], "int32");
  let params: Record<string, tf.Tensor>;
  beforeAll(() => {
    params = given.params();
  });
  afterAll(() => tf.dispose(params));

  test("has the original's parameters", () => {
    expect(magvit2Shapes(config)).toEqual(
      Object.fromEntries(given.json.weights!.map(({ name, shape }) => [name, shape])),
    );
    expect(codebookSize).toBe(2 ** bits);
  });

  test("encodes", () => {
    tf.tidy(() => {
      const { features, codes, quantized } = encodeMagvit2(params, config, channelsLast(image));
      const original = expected("encoder_out");
      expectTensor("features", channelsFirst(features), original, tolerances.encoder_out!);
      const rows = channelsLast(original).dataSync(); // [N, h, w, bits]
      const isUndecided = (at: number) => Math.abs(rows[at]!) < 1e-4; // the case file's note
      const indices = given.integers("indices");
      expectCodes(codes.dataSync(), indices, (i) =>
        Array.from({ length: bits }, (_, bit) => i * bits + bit).some(isUndecided),
      );
      const signs = quantized.dataSync();
      const originalSigns = channelsLast(expected("quantized")).dataSync();
      const decided = Array.from(rows.keys()).filter((at) => !isUndecided(at));
      const pick = (values: ArrayLike<number>) => ({ shape: [decided.length], data: decided.map((at) => values[at]!) });
      expectTensor("quantized", pick(signs), pick(originalSigns), ONE_ROUNDING);
    });
  });

  test("decodes", () => {
    tf.tidy(() => {
      const entries = vectorsOf(tf.reshape(codes("codes"), [-1]), bits);
      const entryImages = tf.reshape(entries, [N, ...grid, bits]);
      expectTensor("codes_entry", channelsFirst(entryImages), expected("codes_entry"), EXACT);
      const decoded = decodeMagvit2(params, config, codes("codes"), grid);
      expectTensor("decoded codes", channelsFirst(decoded), expected("decoded_codes"), tolerances.reconstruction!);
    });
    tf.tidy(() => {
      const decoded = decodeMagvit2(params, config, codes("indices"), grid);
      expectTensor("reconstruction", channelsFirst(decoded), expected("reconstruction"), tolerances.reconstruction!);
    });
  });

  test("turns channels into pixels in the original's order", () => {
    tf.tidy(() => {
      const pixels = depthToSpace(channelsLast(expected("d2s_in")));
      expectTensor("depth to space", channelsFirst(pixels), expected("d2s_out"), EXACT);
    });
  });
}

function quantizerParity(given: ReferenceCase): void {
  const {
    expected,
    integers,
    json: { tolerances },
  } = given;
  const { bits, factorized_bits } = given.json.config as { bits: number; factorized_bits: number[] };
  const rowsOf = (name: string) => {
    const images = channelsLast(expected(name)); // [N, h, w, bits]
    return { images, rows: tf.reshape(images, [-1, images.shape[3]]) as tf.Tensor2D };
  };

  test("has the original's codes, their parts and their vectors", () => {
    tf.tidy(() => {
      const { images, rows } = rowsOf("z");
      const codes = codesOf(rows);
      expect(codes.dataSync()).toEqual(integers("indices"));
      const parts = splitCodes(codes, factorized_bits);
      expect(parts.map((part) => part.dataSync())).toEqual([integers("indices_pre"), integers("indices_post")]);
      expect(joinCodes(parts, factorized_bits).dataSync()).toEqual(integers("indices"));
      const vectors = channelsFirst(tf.reshape(vectorsOf(codes, bits), images.shape));
      expectTensor("quantized", vectors, expected("quantized"), tolerances.quantized!);
      expectTensor("entry_from_indices", vectors, expected("entry_from_indices"), EXACT);
    });
  });

  for (const [key, weights] of Object.entries(given.json.train as Record<string, LfqLossWeights>)) {
    test(`has the original's losses and their gradient with weights ${key}`, () => {
      const scalar = (name: string) => expected(`train.${key}.${name}`);
      tf.tidy(() => {
        const { images, rows } = rowsOf("z_train");
        expect(codesOf(rows).dataSync()).toEqual(integers(`train.${key}.indices`));
        const losses = lfqLosses(images, weights);
        for (const name of ["entropy_aux", "per_sample_entropy", "codebook_entropy", "commitment"] as const) {
          expectTensor(name, valuesOf(losses[name]), scalar(name), tolerances.entropy!);
        }
        // The case file's note: the gradient is of entropy_aux + 0.25 · commitment.
        const loss = (z: tf.Tensor) => {
          const { entropy_aux, commitment } = lfqLosses(z, weights);
          return tf.add(entropy_aux, tf.mul(commitment, 0.25)) as tf.Scalar;
        };
        const gradient = tf.grad(loss)(images);
        const latents = rows.arraySync();
        const exact = gradientInFloat64(latents, weights).flat();
        const stored = channelsLast(scalar("grad"));
        // The gradient is a difference of terms of up to 2.8 at a temperature of 0.01, so float32 loses digits where it
        // is small: the original's own is up to 25 times the case's tolerance away from float64. Ours is held to
        // float64 by that tolerance plus the original's largest distance, which is a few millionths.
        const original = Array.from(stored.dataSync(), (value, i) => Math.abs(value - exact[i]!));
        const distance = Math.max(...original);
        expect(distance).toBeLessThan(1e-5);
        const { atol, rtol } = tolerances.grad!;
        const target = { shape: images.shape, data: exact };
        expectTensor("gradient", valuesOf(gradient), target, { atol: atol + distance, rtol });
      });
    });
  }
}

/**
 * Gradient of `entropy_aux + 0.25 · commitment` in float64, `[M, bits]`, over the table of all codes as the original
 * has it: with p the softmax of `2 z · code / 0.01`, H its entropy in a row and u its mean over rows, the derivative by a
 * logit is `p · (d − Σ p d) / M` for `d = batch · (log(u + ε) + u / (u + ε)) − sample · log p`.
 */
function gradientInFloat64(latents: readonly number[][], weights: LfqLossWeights): number[][] {
  const M = latents.length;
  const bits = latents[0]!.length;
  const SCALE = 2 / 0.01;
  const FLOOR = 1e-5;
  const codes = Array.from({ length: 2 ** bits }, (_, code) =>
    Array.from({ length: bits }, (_, bit) => (Math.floor(code / 2 ** bit) % 2 === 1 ? 1 : -1)),
  );
  const logProbabilities = latents.map((z) => {
    const logits = codes.map((code) => SCALE * code.reduce((sum, sign, bit) => sum + sign * z[bit]!, 0));
    const largest = Math.max(...logits);
    const logSum = largest + Math.log(logits.reduce((sum, logit) => sum + Math.exp(logit - largest), 0));
    return logits.map((logit) => logit - logSum);
  });
  const usage = codes.map((_, j) => logProbabilities.reduce((sum, row) => sum + Math.exp(row[j]!) / M, 0));
  const usageSlopes = usage.map((u) => weights.batch_maximization_weight * (Math.log(u + FLOOR) + u / (u + FLOOR)));
  return latents.map((z, row) => {
    const logP = logProbabilities[row]!;
    const slopes = usageSlopes.map((slope, j) => slope - weights.sample_minimization_weight * logP[j]!);
    const mean = slopes.reduce((sum, slope, j) => sum + Math.exp(logP[j]!) * slope, 0);
    return z.map((value, bit) => {
      const entropies = codes.reduce(
        (sum, code, j) => sum + (SCALE * code[bit]! * Math.exp(logP[j]!) * (slopes[j]! - mean)) / M,
        0,
      );
      return entropies + (0.25 * 2 * (value - (value > 0 ? 1 : -1))) / (M * bits);
    });
  });
}
