import "@tensorflow/tfjs";
import {
  attachTensorAR,
  initLlamaGen,
  type LlamaGenConfig,
  llamaGen,
  type Params,
  packRows,
  type TensorARModel,
} from "@tensorar/model";
import { createStream, slideWindows } from "@tensorar/noise";
import { classConditional, requireCases } from "@tensorar/testing";
import * as tf from "@tensorflow/tfjs-core";
import { afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { cachedDecoder, classLabels, type Decoder, generate, type StepInputs, type StepTensor } from "../src";

beforeAll(async () => {
  await tf.setBackend("cpu");
});
beforeEach(() => tf.engine().startScope());
afterEach(() => tf.engine().endScope());

const toTensor = ({ data, shape, dtype }: StepTensor) => tf.tensor(data.slice(), [...shape], dtype as "float32");
const toData = (tensor: tf.Tensor): StepTensor => ({
  dtype: tensor.dtype as "float32",
  shape: tensor.shape,
  data: tensor.dataSync<"float32">(),
});

/** The model's step, run eagerly. `seen` gets the number of positions that each step was shown. */
function eagerDecoder(model: TensorARModel, params: Params, seen: number[] = []): Decoder {
  const { tokens, vocabSize, unconditionalClass, cache } = model.backbone;
  const run = async ({ condition, window, position, mask, keys, values }: StepInputs) => {
    seen.push(mask.shape[1]!);
    const outputs = model.decode(params, {
      condition: toTensor(condition as StepTensor),
      window: toTensor(window),
      position: toTensor(position),
      mask: toTensor(mask),
      keys: keys.map(toTensor),
      values: values.map(toTensor),
    });
    const { logits, rows } = packRows(outputs);
    return { logits: toData(logits), rows: toData(rows) };
  };
  const conditioning = classLabels(unconditionalClass);
  return cachedDecoder({ tokens, windowSize: model.windowSize, vocabSize, conditioning, cache, run });
}

const cases = classConditional<LlamaGenConfig>("cache.step_logits");
requireCases("cached decoding", cases);

describe.each(cases)("$name", (fixture) => {
  const model = attachTensorAR(llamaGen(fixture.json.config), { windowSize: 1 });

  test.each(fixture.json.generate!)("greedy, guidance $cfg_scale, interval $cfg_interval", async (run) => {
    const conditions = fixture.tensor("labels").data as Int32Array;
    const loop = generate(eagerDecoder(model, fixture.params()), {
      conditions,
      seed: 0,
      temperature: 1,
      topK: 1,
      topP: 1,
      guidance: { kind: "interval", scale: run.cfg_scale, interval: run.cfg_interval },
      drafts: { kind: "raw" },
    });
    let result = await loop.next();
    while (!result.done) result = await loop.next();
    expect([...result.value.codes]).toEqual([...(fixture.tensor(run.output).data as Int32Array)]);
  });
});

test("a cache that grows gives the logits of the whole sequence at once", async () => {
  const config: LlamaGenConfig = {
    model_type: "c2i",
    dim: 16,
    n_layer: 2,
    n_head: 2,
    multiple_of: 16,
    vocab_size: 13,
    block_size: 144,
    num_classes: 3,
    cls_token_num: 1,
    class_dropout_prob: 0,
  };
  const k = 2;
  const model = attachTensorAR(llamaGen(config), { windowSize: k });
  const params = { ...initLlamaGen(config, 1), ...model.initModules(2) };
  const T = config.block_size;
  const random = createStream(3, "codes");
  const codes = Int32Array.from({ length: T }, () => random.below(config.vocab_size));
  const windows = slideWindows(codes, { batch: 1, tokens: T, windowSize: k, count: T - 1 }); // [1, T-1, k]
  const whole = model
    .forward(params, {
      condition: tf.tensor1d([1], "int32"),
      windows: tf.tensor(windows, [1, T - 1, k], "int32"),
    })
    .dataSync(); // [1, T, k, V]

  const positions: number[] = [];
  const session = eagerDecoder(model, params, positions).start(Int32Array.of(1));
  for (let step = 0; step < T; step++) {
    const window = step === 0 ? new Int32Array(k) : windows.slice((step - 1) * k, step * k);
    const logits = await session.step(window);
    const expected = whole.subarray(step * k * config.vocab_size, (step + 1) * k * config.vocab_size);
    // float32 sums over at most 144 positions, in another order
    for (const [i, logit] of expected.entries()) expect(Math.abs(logits[i]! - logit)).toBeLessThan(1e-5);
  }
  expect(new Set(positions).size).toBeGreaterThan(1); // it did grow
  await expect(session.step(new Int32Array(k))).rejects.toThrow(/all 144 tokens are decoded/);
});

describe("what a step returns is checked where it is read", () => {
  const sizes = { tokens: 3, windowSize: 2, vocabSize: 4, cache: { layers: 1, heads: 1, headDim: 2 } };
  const float32 = (...shape: number[]) => ({
    dtype: "float32",
    shape,
    data: new Float32Array(shape.reduce((a, b) => a * b, 1)),
  });
  const [logits, rows] = [float32(1, 2, 4), float32(2, 1, 1, 1, 1, 2)];
  test.each<[Record<string, ReturnType<typeof float32>>, RegExp]>([
    [{ output: logits, rows }, /returns "output", "rows" and no "logits"/],
    [{ logits: { ...logits, dtype: "float16" }, rows }, /logits in float16; return float32/],
    [{ logits: float32(1, 2, 5), rows }, /logits \[1, 2, 5\]; \[1, 2, 4\] fit/],
    [{ logits }, /returns no "rows"/],
    [{ logits, rows: float32(2, 1, 1, 2, 1, 2) }, /rows \[2, 1, 1, 2, 1, 2\]; \[2, 1, 1, 1, 1, 2\] fit/],
  ])("%#", async (outputs, message) => {
    const decoder = cachedDecoder({ ...sizes, conditioning: classLabels(3), run: async () => outputs });
    await expect(decoder.start([0]).step(new Int32Array(2))).rejects.toThrow(message);
  });
});
