import "@tensorflow/tfjs";
import { expectClose, expectTensor, type ReferenceCase, referenceCases, requireCases } from "@tensorar/testing";
import * as tf from "@tensorflow/tfjs-core";
import { afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import {
  attachTensorAR,
  countParameters,
  joinTokens,
  lossAndGradients,
  MAGVIT2_AR_SIZES,
  type Magvit2ArConfig,
  type Magvit2ArSize,
  magvit2Ar,
  magvit2ArConfig,
  magvit2ArShapes,
  type Params,
  selfWindows,
  splitTokens,
  windowLoss,
} from "../src";
import { ropeTable2d } from "../src/ops/rope";
import { compiled } from "./compiled";

// Expected values: the original PyTorch code in float32, at the fixtures' own tolerances.

const cases = referenceCases("Open_MAGVIT2/modules/transformer/gpt.py");
requireCases("Open-MAGVIT2", cases);

beforeAll(async () => {
  await tf.setBackend("cpu");
});
beforeEach(() => tf.engine().startScope());
afterEach(() => tf.engine().endScope());

const configOf = ({ json }: ReferenceCase) => json.config as unknown as Magvit2ArConfig;
const full = (fixture: ReferenceCase) => fixture.has("logits_pre_slice");
const labels = (fixture: ReferenceCase): tf.Tensor => tf.reshape(fixture.int32("classes"), [-1]);

/** Tokens as codes [R, T]. */
const codesOf = (fixture: ReferenceCase): tf.Tensor =>
  joinTokens([fixture.int32("pre"), fixture.int32("post")], magvit2Ar(configOf(fixture)).factors!.sizes);

test.each(cases)("$name has the original's parameters", (fixture) => {
  const { weights } = fixture.json;
  if (weights === undefined) throw new Error(`${fixture.name} states no weights`);
  expect(magvit2ArShapes(configOf(fixture))).toEqual(
    Object.fromEntries(weights.map(({ name, shape }) => [name, shape])),
  );
});

test("published sizes have about as many parameters as the paper states, in millions", () => {
  const stated: Record<Magvit2ArSize, number> = { "AR-B": 343, "AR-L": 804, "AR-XL": 1500 };
  for (const size of Object.keys(MAGVIT2_AR_SIZES) as Magvit2ArSize[]) {
    const count = countParameters(magvit2ArShapes(magvit2ArConfig(size))) / 1e6;
    expect(Math.abs(count / stated[size] - 1)).toBeLessThan(0.02);
  }
});

test("tokens split into sub-tokens, the first one in the lowest digits", () => {
  const sizes = [4, 8, 2];
  const tokens = tf.range(0, 64, 1, "int32");
  const parts = splitTokens(tokens, sizes);
  expect(parts.map((part) => part.arraySync() as number[]).map((part) => part[45])).toEqual([1, 3, 1]); // 1 + 3·4 + 1·32
  expect([...joinTokens(parts, sizes).dataSync()]).toEqual([...tokens.dataSync()]);
});

/** Logits of next-token training [R, T, V_0 + V_1]. */
const trainLogits = (fixture: ReferenceCase, params: Params, condition: tf.Tensor): tf.Tensor =>
  nextTokenLogits(fixture, params, codesOf(fixture), condition);

function nextTokenLogits(fixture: ReferenceCase, params: Params, codes: tf.Tensor, condition: tf.Tensor): tf.Tensor {
  const backbone = magvit2Ar(configOf(fixture));
  const windows = tf.expandDims(tf.slice(codes, [0, 0], [-1, backbone.tokens - 1]), 2);
  const targets = tf.expandDims(codes, 2);
  return tf.squeeze(attachTensorAR(backbone, { windowSize: 1 }).forward(params, { condition, windows, targets }), [2]);
}

describe.each(cases.filter((fixture) => !full(fixture)))("$name", (fixture) => {
  const config = configOf(fixture);
  const backbone = magvit2Ar(config);
  const sizes = backbone.factors!.sizes;

  const dropped = (): tf.Tensor => {
    const drop = fixture.int32("force_drop_ids");
    return tf.add(
      tf.mul(labels(fixture), tf.sub(tf.scalar(1, "int32"), drop)),
      tf.mul(drop, tf.scalar(backbone.unconditionalClass, "int32")),
    );
  };

  test("rotary table", () => {
    const grid = Math.sqrt(config.block_size);
    const table = ropeTable2d(grid, config.dim / config.n_head, config.rope_base ?? 10000, 1);
    // The case states no tolerance for its table, which is cos and sin in float32.
    expectClose("rope", table, fixture.tensor("rope_table").data as Float32Array, { atol: 2e-7, rtol: 0 });
  });

  test.each([
    ["train_drop", true],
    ["eval", false],
  ] as const)("%s: logits of both sub-tokens", (name, drop) => {
    const logits = trainLogits(fixture, fixture.params(), drop ? dropped() : labels(fixture));
    const [pre, post] = tf.split(logits, [...sizes], 2) as [tf.Tensor, tf.Tensor];
    expectTensor("pre", pre, fixture.tensor(`${name}.logits_pre`), fixture.tolerance("logits"));
    expectTensor("post", post, fixture.tensor(`${name}.logits_post`), fixture.tolerance("logits"));
  });

  test("loss and gradients", () => {
    const targets = tf.expandDims(codesOf(fixture), 2);
    const condition = dropped();
    const { metrics, grads } = lossAndGradients(fixture.params(), (params) => {
      const { loss } = windowLoss(tf.expandDims(trainLogits(fixture, params, condition), 2), targets, {
        factors: sizes,
      });
      return { loss };
    });
    const [pre, post] = ["loss_pre", "loss_post"].map((name) => fixture.tensor(`train_drop.${name}`).data[0] as number);
    expectClose("loss", metrics.loss!.dataSync(), [pre! + post!], fixture.tolerance("loss"));
    const names: string[] = fixture.json.grad_names;
    expect(Object.keys(grads).sort()).toEqual([...names].sort());
    const norms = names.map((name) => tf.norm(grads[name]!).dataSync()[0]!);
    const expected = fixture.tensor("train_drop.grad_norms").data as Float64Array;
    // The case states none for gradients: a norm is a root of a sum of squares of float32 gradients.
    expectClose("norms", norms, expected, { atol: fixture.tolerance("logits").atol, rtol: 1e-4 });
  });

  test("with TensorAR: a fresh head keeps entry 0, and windows beyond the image are padded", () => {
    const params = fixture.params();
    const condition = labels(fixture);
    const base = trainLogits(fixture, params, condition); // [R, T, V_0 + V_1]
    const [k, T] = [3, backbone.tokens];
    const model = attachTensorAR(backbone, { windowSize: k });
    const padding: [number, number][] = [
      [0, 0],
      [0, k],
    ];
    const padded = tf.pad(codesOf(fixture), padding, -1);
    const shifted = (count: number) =>
      tf.stack(
        Array.from({ length: k }, (_, j) => tf.slice(padded, [0, j], [-1, count])),
        2,
      );
    const inputs = { condition, windows: shifted(T - 1) };
    const all = { ...params, ...model.initModules(1) };
    const refined = model.forward(all, { ...inputs, targets: shifted(T) }); // [R, T, k, V_0 + V_1]
    const entry0 = tf.slice(refined, [0, 0, 0, 0], [-1, -1, 1, -1]);
    expect([...entry0.dataSync()]).toEqual([...base.dataSync()]);
    expect(() => model.forward(all, inputs)).toThrow(/pass targets/);

    const uniforms = tf.fill([condition.shape[0]!, T, k, 2], 0.5);
    const own = selfWindows(model, all, { ...inputs, uniforms });
    const kept = tf.slice(own, [0, 0, 0], [-1, -1, 1]).dataSync();
    expect([...kept]).toEqual([...tf.slice(inputs.windows, [0, 0, 0], [-1, -1, 1]).dataSync()]);
    const [given, drawn] = [inputs.windows.dataSync(), own.dataSync()];
    given.forEach((code, i) => {
      if (code < 0) expect(drawn[i]).toBe(-1);
      else expect(drawn[i]! >= 0 && drawn[i]! < backbone.vocabSize).toBe(true);
    });
  });
});

// About 230 GFLOP: seconds compiled, minutes on tfjs' own backends.
test.each(cases.filter(full))("$name, at full size", fullSize, 300_000);

async function fullSize(fixture: ReferenceCase): Promise<void> {
  const sizes = magvit2Ar(configOf(fixture)).factors!.sizes;
  const params = fixture.params();
  const inputs = { codes: codesOf(fixture), condition: labels(fixture) };
  const { shape, data } = await compiled(
    ({ codes, condition }) => nextTokenLogits(fixture, params, codes!, condition!),
    inputs,
  );
  tf.dispose(params);
  const all = tf.tensor(data, [...shape]); // [R, T, V_0 + V_1]
  const statistics = fixture.tolerance("mean_std");
  for (const [factor, logits] of tf.split(all, [...sizes], 2).entries()) {
    const name = ["pre", "post"][factor]!;
    const slice = fixture.tensor(`logits_${name}_slice`);
    const at = tf.gather(logits, fixture.int32("positions") as tf.Tensor1D, 1);
    expectTensor(name, tf.slice(at, [0, 0, 0], [-1, -1, slice.shape[2]!]), slice, fixture.tolerance("logits"));
    const { mean, variance } = tf.moments(logits, -1);
    expectClose("mean", mean.dataSync(), fixture.tensor(`${name}_mean`).data as Float64Array, statistics);
    const deviation = tf.sqrt(variance); // over all codes, not one less
    expectClose("std", deviation.dataSync(), fixture.tensor(`${name}_std`).data as Float64Array, statistics);
    const { values } = tf.topk(logits, 2);
    const [pairs, best] = [values.dataSync(), tf.argMax(logits, -1).dataSync()];
    const expected = fixture.tensor(`${name}_argmax`).data as Int32Array;
    const clear = Array.from(best, (_, i) => i).filter((i) => pairs[2 * i]! - pairs[2 * i + 1]! > 1e-3);
    expect(clear.length).toBeGreaterThan(best.length / 2);
    expect(clear.map((i) => best[i])).toEqual(clear.map((i) => expected[i]));
  }
}
