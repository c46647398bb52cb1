import "@tensorflow/tfjs";
import { expectClose, expectTensor, type ReferenceCase, referenceCases, requireCases } from "@tensorar/testing";
import * as tf from "@tensorflow/tfjs-core";
import { afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import {
  attachTensorAR,
  countParameters,
  lossAndGradients,
  type Params,
  type RAR_SIZES,
  type RarConfig,
  type RarForwardInputs,
  rar,
  rarConfig,
  rarForward,
  rarShapes,
} from "../src";
import { crossEntropy } from "../src/ops/cross-entropy";
import { compiled } from "./compiled";

// Expected values: the original PyTorch code in float32. Tolerances are the fixtures' own: about ten times the distance
// of the original's float32 from float64.

const cases = referenceCases("modeling/rar.py");
requireCases("RAR", cases);

beforeAll(async () => {
  await tf.setBackend("cpu");
});
beforeEach(() => tf.engine().startScope());
afterEach(() => tf.engine().endScope());

const configOf = ({ json }: ReferenceCase) => json.config as unknown as RarConfig;
const full = (fixture: ReferenceCase) => fixture.has("logits_slice");

test.each(cases)("$name has the original's parameters", (fixture) => {
  const weights = fixture.json.weights!;
  expect(rarShapes(configOf(fixture))).toEqual(Object.fromEntries(weights.map(({ name, shape }) => [name, shape])));
});

test("published sizes have about as many parameters as the paper states, in millions", () => {
  const stated = { "RAR-B": 261, "RAR-L": 461, "RAR-XL": 955, "RAR-XXL": 1500 };
  for (const [size, millions] of Object.entries(stated)) {
    const count = countParameters(rarShapes(rarConfig(size as keyof typeof RAR_SIZES))) / 1e6;
    expect(Math.abs(count / millions - 1)).toBeLessThan(0.01);
  }
});

const inputsOf = (fixture: ReferenceCase) => ({
  tokens: fixture.int32("ids"),
  condition: fixture.int32("classes"),
  orders: fixture.int32("orders"),
});

/** Mean cross-entropy of what every position but the last predicts. */
function loss(params: Params, fixture: ReferenceCase): { logits: tf.Tensor; loss: tf.Tensor } {
  const config = configOf(fixture);
  const logits = rarForward(params, config, inputsOf(fixture));
  const labels = tf.reshape(fixture.int32("permuted.labels"), [-1]) as tf.Tensor1D;
  const predicting = tf.slice(logits, [0, 0, 0], [-1, config.image_seq_len, -1]);
  const flat = tf.reshape(predicting, [-1, config.codebook_size]) as tf.Tensor2D;
  return { logits, loss: tf.mean(crossEntropy(flat, labels)) };
}

describe.each(cases.filter((fixture) => !full(fixture)))("$name", (fixture) => {
  const config = configOf(fixture);
  const backbone = rar(config);

  test("any order: logits, loss and gradients", () => {
    const { metrics, grads } = lossAndGradients(fixture.params(), (params) => loss(params, fixture));
    expectTensor("logits", metrics.logits, fixture.tensor("permuted.logits"), fixture.tolerance("logits"));
    expectClose(
      "loss",
      metrics.loss.dataSync(),
      fixture.tensor("permuted.loss").data as Float32Array,
      fixture.tolerance("loss"),
    );
    const names: string[] = fixture.json.grad_names;
    expect(Object.keys(grads).sort()).toEqual([...names].sort());
    // The case states none for gradients; they are of size 1 and below, and add up as many terms as logits do.
    const tolerance = { atol: fixture.tolerance("logits").atol, rtol: 1e-4 };
    const norms = names.map((name) => tf.norm(grads[name]!).dataSync()[0]!);
    expectClose("norms", norms, fixture.tensor("permuted.grad_norms").data as Float64Array, tolerance);
    for (const key of Object.keys(fixture.json.tensors).filter((name) => name.startsWith("permuted.grad.")))
      expectTensor(key, grads[key.slice("permuted.grad.".length)]!, fixture.tensor(key), tolerance);
  });

  test.each([
    ["raster.logits", false],
    ["raster_uncond.logits", true],
  ] as const)("%s", (key, unconditional) => {
    const params = fixture.params();
    const labels = fixture.int32("classes");
    const condition = unconditional ? tf.fill(labels.shape, backbone.unconditionalClass, "int32") : labels;
    const codes = fixture.int32("ids");
    const x = tf.concat([backbone.embedCondition(params, condition), backbone.embedCodes(params, codes)], 1);
    const positions = tf.range(0, x.shape[1]!, 1, "int32");
    const { hidden } = backbone.body(params, x, { positions, condition });
    const logits = backbone.head(params, tf.slice(hidden, [0, 1, 0], [-1, -1, -1]));
    expectTensor(key, logits, fixture.tensor(key), fixture.tolerance("logits"));
  });

  test("with TensorAR: window 1 is the model, and a fresh head keeps entry 0", () => {
    const params = fixture.params();
    const condition = fixture.int32("classes");
    const codes = fixture.int32("ids"); // [R, T]
    const T = config.image_seq_len;
    const one = attachTensorAR(backbone, { windowSize: 1 });
    const single = tf.expandDims(tf.slice(codes, [0, 0], [-1, T - 1]), 2); // [R, T-1, 1]
    const base = one.forward(params, { condition, windows: single }); // [R, T, 1, V]
    const expected = fixture.tensor("raster.logits");
    const predicting = tf.slice(tf.tensor(expected.data as Float32Array, [...expected.shape]), [0, 0, 0], [-1, T, -1]);
    expectClose("base", base.dataSync(), predicting.dataSync(), fixture.tolerance("logits"));

    const k = 3;
    const model = attachTensorAR(backbone, { windowSize: k });
    const padded = tf.pad(
      codes,
      [
        [0, 0],
        [0, k],
      ],
      -1,
    );
    const windows = tf.stack(
      Array.from({ length: k }, (_, j) => tf.slice(padded, [0, j], [-1, T - 1])),
      2,
    );
    const refined = model.forward({ ...params, ...model.initModules(1) }, { condition, windows }); // [R, T, k, V]
    const entry0 = tf.slice(refined, [0, 0, 0, 0], [-1, -1, 1, -1]);
    expect([...entry0.dataSync()]).toEqual([...base.dataSync()]);
  });
});

// About 130 GFLOP: seconds compiled, minutes on tfjs' own backends.
test.each(cases.filter(full))("$name, at full size", fullSize, 300_000);

async function fullSize(fixture: ReferenceCase): Promise<void> {
  const params = fixture.params();
  const { shape, data } = await compiled(
    (inputs) => rarForward(params, configOf(fixture), inputs as unknown as RarForwardInputs), // [R, T + 1, V]
    { ...inputsOf(fixture) },
  );
  tf.dispose(params);
  const logits = tf.tensor(data, [...shape]);
  const at = tf.gather(logits, fixture.int32("positions") as tf.Tensor1D, 1);
  const slice = fixture.tensor("logits_slice");
  expectTensor("logits", tf.slice(at, [0, 0, 0], [-1, -1, slice.shape[2]!]), slice, fixture.tolerance("logits_slice"));
  const { mean, variance } = tf.moments(logits, -1);
  const statistics = fixture.tolerance("mean_std");
  expectClose("mean", mean.dataSync(), fixture.tensor("logits_mean").data as Float64Array, statistics);
  const deviation = tf.sqrt(variance); // over all codes, not one less
  expectClose("std", deviation.dataSync(), fixture.tensor("logits_std").data as Float64Array, statistics);
  const { values } = tf.topk(logits, 2);
  const [pairs, best] = [values.dataSync(), tf.argMax(logits, -1).dataSync()];
  const expected = fixture.tensor("logits_argmax").data as Int32Array;
  const clear = Array.from(best, (_, i) => i).filter((i) => pairs[2 * i]! - pairs[2 * i + 1]! > 1e-3);
  expect(clear.length).toBeGreaterThan(best.length / 2);
  expect(clear.map((i) => best[i])).toEqual(clear.map((i) => expected[i]));
}
