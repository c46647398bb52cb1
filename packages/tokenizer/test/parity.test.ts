import "@tensorflow/tfjs";
import * as tf from "@tensorflow/tfjs-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { checkVqTensors, decodeVq, encodeVq, gridOf, vqLosses, vqShapes } from "../src";
import { resolveConfig } from "../src/config";
import { codebook } from "../src/quantizer/quantize";
import { codebookUsage, emptyUsage, recordCodes } from "../src/usage";
import { channelsFirst, channelsLast, expectClose, valuesOf } from "./compare";
import { hashWeights, referenceFolder, type VqCase, vqCases } from "./reference";

// Expected values were computed by the original PyTorch code in float32; each case file gives tolerances of about ten
// times that code's own distance from float64. Nothing here is wider than those.

/** Cases larger than this take minutes on the plain JavaScript backend. */
const LARGEST = process.env.TENSORAR_FULL_REFERENCE ? Number.POSITIVE_INFINITY : 20_000_000;

beforeAll(() => tf.setBackend("cpu"));

const cases = vqCases();
if (cases.length === 0) {
  test.skip(`no VQ cases in ${referenceFolder}: set TENSORAR_REFERENCE to the folder of reference outputs`, () => {});
}
for (const vqCase of cases) {
  if (vqCase.parameters <= LARGEST) describe(vqCase.name, () => parity(vqCase));
  else test.skip(`${vqCase.name}: ${vqCase.parameters} parameters; set TENSORAR_FULL_REFERENCE=1 to run it`, () => {});
}

function parity(vqCase: VqCase): void {
  const { config, tolerances, expected } = vqCase;
  const image = expected("image");
  const [, , H, W] = image.shape as [number, number, number, number];
  const grid = gridOf(config, [H, W]);
  let params: Record<string, tf.Tensor>;
  beforeAll(() => {
    params = hashWeights(vqCase);
  });
  afterAll(() => tf.dispose(params));

  test("has the original's parameters", () => {
    const shapes = vqShapes(config);
    const original = vqCase.weights.map(({ name, shape }) => [name, shape]);
    expect(shapes).toEqual(Object.fromEntries(original));
    checkVqTensors(config, params, vqCase.name);
    const count = Object.values(shapes).reduce((sum, shape) => sum + shape.reduce((a, b) => a * b, 1), 0);
    expect(count).toBe(vqCase.parameters);
  });

  test("encodes", { timeout: 600_000 }, () => {
    tf.tidy(() => {
      const { features, latents, codes, quantized } = encodeVq(params, config, channelsLast(image));
      expectClose("latents", channelsFirst(latents), expected("pre_quant"), tolerances.pre_quant!);
      if (vqCase.has("encoder_out")) {
        expectClose("features", channelsFirst(features), expected("encoder_out"), tolerances.pre_quant!);
      }
      if (vqCase.has("encoder_out_slice")) {
        const slice = expected("encoder_out_slice");
        const part = tf.slice(features, [0, 0, 0, 0], [-1, -1, -1, slice.shape[1]!]);
        expectClose("features", channelsFirst(part), slice, tolerances.pre_quant!);
      }
      expectCodes(codes.dataSync(), vqCase);
      expectClose("quantized", channelsFirst(quantized), expected("quant"), tolerances.quant!);
      const decoded = decodeVq(params, config, codes, grid);
      expectClose("reconstruction", channelsFirst(decoded), expected("reconstruction"), tolerances.reconstruction!);
    });
  });

  test("decodes", { timeout: 600_000 }, () => {
    tf.tidy(() => {
      const codes = tf.tensor2d(vqCase.integers("codes"), [image.shape[0]!, grid[0] * grid[1]], "int32");
      const images = decodeVq(params, config, codes, grid);
      expectClose("decode_code", channelsFirst(images), expected("decode_code"), tolerances.decode_code!);
      if (!vqCase.has("codebook_entry")) return;
      const entries = tf.gather(codebook(params, resolveConfig(config)), tf.reshape(codes, [-1, ...grid]));
      expectClose("codebook_entry", channelsFirst(entries), expected("codebook_entry"), tolerances.quant!);
    });
  });

  if (vqCase.has("train.total")) training(vqCase, () => params);
}

/** Codes must agree; where the original itself had two codes within 1e-4 of each other it may be either. */
function expectCodes(actual: ArrayLike<number>, vqCase: VqCase): void {
  const codes = vqCase.integers("indices");
  const margin = vqCase.expected("index_margin").data;
  expect(actual.length).toBe(codes.length);
  const different = Array.from(codes).filter((code, i) => code !== actual[i] && !(margin[i]! < 1e-4));
  expect(different).toEqual([]);
}

function training(vqCase: VqCase, weights: () => Record<string, tf.Tensor>): void {
  const { config, tolerances, expected, gradNames } = vqCase;
  const scalar = (name: string) => expected(`train.${name}`);

  test("trains", { timeout: 600_000 }, () => {
    const params = weights();
    const image = channelsLast(expected("image"));
    const names = Object.keys(params);
    const seen: Record<string, { shape: readonly number[]; data: ArrayLike<number> }> = {};
    const { value, grads } = tf.valueAndGrads((...tensors: tf.Tensor[]) => {
      const losses = vqLosses(Object.fromEntries(names.map((name, i) => [name, tensors[i]!])), config, image);
      for (const [name, tensor] of Object.entries(losses)) seen[name] = valuesOf(tensor as tf.Tensor);
      return losses.total;
    })(names.map((name) => params[name]!));

    const { losses, grads: gradients } = tolerances as Record<string, { atol: number; rtol: number }>;
    expectClose("total", valuesOf(value), scalar("total"), losses!);
    expectClose("reconstruction", seen.reconstruction!, scalar("mse"), losses!);
    expectClose("vq_loss", seen.vq_loss!, scalar("vq_loss"), losses!);
    expectClose("commit_loss", seen.commit_loss!, scalar("commit_loss"), losses!);
    // The case file's own note: the temperature of 0.01 amplifies rounding of the entropy loss to rtol 1e-3.
    expectClose("entropy_loss", seen.entropy_loss!, scalar("entropy_loss"), { atol: 0, rtol: 1e-3 });

    const byName = Object.fromEntries(names.map((name, i) => [name, grads[i]!]));
    for (const name of gradNames.filter((name) => vqCase.has(`train.grad.${name}`))) {
      expectClose(`gradient of ${name}`, valuesOf(byName[name]!), expected(`train.grad.${name}`), gradients!);
    }
    const norms = gradNames.map((name) => tf.tidy(() => tf.norm(byName[name]!).dataSync()[0]!));
    const original = expected("train.grad_norms");
    expectClose("gradient norms", { shape: original.shape, data: norms }, original, gradients!);

    const codes = Int32Array.from(seen.codes!.data);
    const once = recordCodes(emptyUsage(), codes);
    expect(codebookUsage(once, config.codebook_size)).toBe(scalar("codebook_usage").data[0]);
    tf.dispose([value, image, ...grads]);
  });
}
