import "@tensorflow/tfjs";
import { expectTensor, type ReferenceCase, referenceCases, requireCases } from "@tensorar/testing";
import * as tf from "@tensorflow/tfjs-core";
import { afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { T5_SIZES, type T5Config, t5Encoder } from "../src";
import { compiled } from "./compiled";

// Expected values: transformers' T5EncoderModel in float32, at the case's own tolerances.

const cases = referenceCases().filter(({ json }) => json.source?.cls === "T5EncoderModel");
requireCases("T5 encoders", cases);

beforeAll(async () => {
  await tf.setBackend("cpu");
});
beforeEach(() => tf.engine().startScope());
afterEach(() => tf.engine().endScope());

const inputsOf = (fixture: ReferenceCase) => ({
  ids: fixture.int32("input_ids"),
  mask: fixture.int32("attention_mask"),
});

/** 0 where a token is padding, whose values mean nothing. @param states [B, T, D] */
function validOnly(fixture: ReferenceCase, { shape, data }: { shape: readonly number[]; data: ArrayLike<number> }) {
  const mask = fixture.integers("attention_mask");
  const width = shape[2]!;
  return { shape, data: Float32Array.from(data, (value, i) => value * mask[Math.floor(i / width)]!) };
}

describe.each(cases)("$name", (fixture) => {
  const encoder = t5Encoder(fixture.json.config as T5Config);

  test("has the original's parameters", () => {
    const original = fixture.json.weights!.map(({ name, shape }) => [name, shape]);
    expect(encoder.shapes).toEqual(Object.fromEntries(original));
  });

  test("position bias", () => {
    const bias = encoder.positionBias(fixture.params(), fixture.int32("input_ids"));
    expectTensor("bias", bias, fixture.expected("position_bias"), fixture.tolerance("position_bias"));
  });

  test("hidden states of every block", () => {
    const states = encoder.hiddenStates(fixture.params(), inputsOf(fixture));
    const names = Object.keys(fixture.json.tensors).filter((name) => name.startsWith("hidden."));
    expect(states.length).toBe(names.length);
    for (const [layer, state] of states.entries()) {
      const [actual, expected] = [{ shape: state.shape, data: state.dataSync() }, fixture.expected(`hidden.${layer}`)];
      expectTensor(`${layer}`, validOnly(fixture, actual), validOnly(fixture, expected), fixture.tolerance("hidden"));
    }
  });

  test("features, eagerly and compiled", async () => {
    const [params, inputs] = [fixture.params(), inputsOf(fixture)];
    const expected = validOnly(fixture, fixture.expected("last_hidden_state"));
    const tolerance = fixture.tolerance("last_hidden_state");
    const eager = encoder.encode(params, inputs);
    expectTensor("eager", validOnly(fixture, { shape: eager.shape, data: eager.dataSync() }), expected, tolerance);
    const fast = await compiled(({ ids, mask }) => encoder.encode(params, { ids: ids!, mask: mask! }), inputs);
    expectTensor("compiled", validOnly(fixture, fast), expected, tolerance);
  });
});

test("sizes of the published encoders", () => {
  const count = (size: keyof typeof T5_SIZES) =>
    Object.values(t5Encoder(T5_SIZES[size]).shapes).reduce((sum, shape) => sum + shape.reduce((a, b) => a * b, 1), 0);
  // Parameters of transformers' T5EncoderModel.
  expect(count("flan-t5-base")).toBe(109_628_544);
  expect(count("flan-t5-xl")).toBe(1_223_527_424);
});

test.each([
  [{ d_model: 0 }, /d_model = 0/],
  [{ feed_forward_proj: "relu" }, /feed_forward_proj = "relu": only "gated-gelu"/],
  [{ relative_attention_num_buckets: 6 }, /6 buckets/],
  [{ layer_norm_epsilon: Number.NaN }, /layer_norm_epsilon = NaN/],
])("a config with %j is refused", (change, message) => {
  expect(() => t5Encoder({ ...T5_SIZES["flan-t5-base"], ...change } as T5Config)).toThrow(message);
});
