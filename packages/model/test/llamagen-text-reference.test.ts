import "@tensorflow/tfjs";
import { expectClose, expectTensor, llamaGenCases, type ReferenceCase, requireCases } from "@tensorar/testing";
import * as tf from "@tensorflow/tfjs-core";
import { afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import {
  attachTensorAR,
  type CaptionCondition,
  countParameters,
  type LlamaGenConfig,
  llamaGen,
  llamaGenShapes,
  llamaGenTextConfig,
  windowLoss,
} from "../src";
import { crossEntropy } from "../src/ops/cross-entropy";

// Expected values: the original PyTorch code in float32, at the fixtures' own tolerances.

const cases = llamaGenCases<LlamaGenConfig>().filter(({ json }) => json.config?.model_type === "t2i");
requireCases("text-conditional LlamaGen", cases);

beforeAll(async () => {
  await tf.setBackend("cpu");
});
beforeEach(() => tf.engine().startScope());
afterEach(() => tf.engine().endScope());

const configOf = ({ json }: ReferenceCase) => json.config as LlamaGenConfig & { readonly model_type: "t2i" };

function conditionOf(fixture: ReferenceCase, drop: boolean): CaptionCondition {
  const { data, shape } = fixture.tensor("caption");
  const masks = fixture.tensor("emb_masks");
  const mask = tf.tensor(masks.data as Float32Array, [...masks.shape]);
  const caption = tf.mul(tf.tensor(data as Float32Array, [...shape]), tf.expandDims(mask, 2));
  const dropped = fixture.int32("force_drop_ids");
  return { caption, mask, dropped: drop ? dropped : tf.zerosLike(dropped) };
}

test("the published model has about as many parameters as its name says", () => {
  expect(countParameters(llamaGenShapes(llamaGenTextConfig("GPT-XL"))) / 775e6).toBeCloseTo(1, 1);
});

describe.each(cases)("$name", (fixture) => {
  const config = configOf(fixture);
  const backbone = llamaGen(config);

  test("parameters have the original's names and shapes", () => {
    const recipes = fixture.json.weights!.map(({ name, shape }) => [name, shape]);
    expect(llamaGenShapes(config)).toEqual(Object.fromEntries(recipes));
  });

  test("captions", () => {
    const embedded = backbone.embedCondition(fixture.params(), conditionOf(fixture, false));
    expectTensor("captions", embedded, fixture.tensor("caption_embedded"), fixture.tolerance("logits"));
  });

  test("training with dropped captions, masks and weights of samples", () => {
    const codes = fixture.int32("tokens");
    const windows = tf.expandDims(tf.slice(codes, [0, 0], [-1, backbone.tokens - 1]), 2);
    const condition = conditionOf(fixture, true);
    const logits = attachTensorAR(backbone, { windowSize: 1 }).forward(fixture.params(), { condition, windows });
    expectTensor("logits", tf.squeeze(logits, [2]), fixture.tensor("train.logits"), fixture.tolerance("logits"));
    const entropy = crossEntropy(tf.reshape(logits, [-1, config.vocab_size]), tf.reshape(codes, [-1]) as tf.Tensor1D);
    const { data } = fixture.tensor("valid");
    const valid = Array.from(entropy.dataSync(), (_, i) => Number(data[Math.floor(i / config.block_size)]));
    const total = valid.reduce((a, b) => a + b, 0);
    const loss =
      Array.from(entropy.dataSync()).reduce((sum, value, i) => sum + value * valid[i]!, 0) / Math.max(total, 1);
    // The case states none for the loss: it is a mean of what logits decide.
    const expected = fixture.tensor("train.loss").data as Float32Array;
    expectClose("loss", [loss], expected, fixture.tolerance("logits"));
    expect(Number.isFinite(windowLoss(logits, tf.expandDims(codes, 2)).loss.dataSync()[0])).toBe(true);
  });

  test("prefill and cached steps give what the whole sequence gives, padding and all", () => {
    const model = attachTensorAR(backbone, { windowSize: 1 });
    const params = fixture.params();
    const condition = conditionOf(fixture, false);
    const codes = fixture.int32("tokens");
    const windows = tf.expandDims(tf.slice(codes, [0, 0], [-1, backbone.tokens - 1]), 2);
    const whole = tf.unstack(tf.squeeze(model.forward(params, { condition, windows }), [2]), 1); // [R, V]
    const first = model.prefill(params, { condition });
    const [same, V] = [fixture.tolerance("logits"), config.vocab_size];
    expectClose("position 0", first.logits.dataSync(), whole[0]!.dataSync(), same);
    const positions = config.cls_token_num;
    const cache = { mask: first.mask, keys: first.keys, values: first.values };
    const position = tf.tensor1d([positions], "int32");
    const window = tf.slice(codes, [0, 0], [-1, 1]);
    const step = model.decode(params, { condition, window, position, ...cache });
    expect(step.logits.shape).toEqual([codes.shape[0], 1, V]);
    expectClose("position 1", step.logits.dataSync(), whole[1]!.dataSync(), same);
  });
});
