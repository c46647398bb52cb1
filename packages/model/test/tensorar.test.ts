import "@tensorflow/tfjs";
import { slideWindows } from "@tensorar/noise";
import { expectClose } from "@tensorar/testing";
import * as tf from "@tensorflow/tfjs-core";
import { afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import {
  attachTensorAR,
  llamaGen,
  lossAndGradients,
  moduleSizes,
  type OutputStructure,
  type TensorARModel,
  windowLoss,
} from "../src";
import { outputDecoder } from "../src/output-decoder";
import { CachedDecode } from "./cached-decode";
import { randomCodes, randomTensor, TINY, tinyModel } from "./random";

beforeAll(async () => {
  await tf.setBackend("cpu");
});
beforeEach(() => tf.engine().startScope());
afterEach(() => tf.engine().endScope());

const R = 2;
const T = TINY.block_size;
const V = TINY.vocab_size;
const STRUCTURES: OutputStructure[] = ["maps", "gated"];
const VARIANTS = STRUCTURES.flatMap((structure) => [1, 2].map((depth) => ({ structure, depth })));

const truth = () => randomCodes("truth", [R, T], V);
const conditions = () => tf.tensor1d([2, 0], "int32");

function windowsOf(codes: Int32Array, windowSize: number, count = T - 1): tf.Tensor {
  const windows = slideWindows(codes, { batch: R, tokens: T, windowSize, count });
  return tf.tensor(windows, [R, count, windowSize], "int32");
}

/** Logits [R, T, k, V] as plain numbers. */
const logitsOf = (model: TensorARModel, params: Record<string, tf.Tensor>, windows: tf.Tensor) =>
  model.forward(params, { condition: conditions(), windows });

describe.each([2, 4, 8, T])("window %d", (windowSize) => {
  test.each(VARIANTS)("a fresh $structure head of depth $depth has the base model's logits in all rows", (variant) => {
    const base = tinyModel({ windowSize: 1 });
    const model = attachTensorAR(base.model.backbone, { windowSize, ...variant });
    const params = { ...base.params, ...model.initModules(5) };
    expect(Object.keys(params).sort()).toEqual(Object.keys(model.shapes).sort());
    const expected = logitsOf(base.model, base.params, windowsOf(truth(), 1)); // [R, T, 1, V]
    const actual = logitsOf(model, params, windowsOf(truth(), windowSize));
    expect(actual.shape).toEqual([R, T, windowSize, V]);
    expect([...actual.dataSync()]).toEqual([...tf.tile(expected, [1, 1, windowSize, 1]).dataSync()]);
  });

  test.each(VARIANTS)("cached decoding equals the whole forward, $structure, depth $depth", (variant) => {
    const { model, params } = tinyModel({ windowSize, ...variant });
    const windows = windowsOf(truth(), windowSize);
    const whole = logitsOf(model, params, windows);
    const decode = new CachedDecode(model, params, R, T + 3);
    for (let position = 0; position < T; position++) {
      const window = tf.squeeze(tf.slice(windows, [0, Math.max(0, position - 1), 0], [-1, 1, -1]), [1]);
      const expected = tf.squeeze(tf.slice(whole, [0, position, 0, 0], [-1, 1, -1, -1]), [1]);
      const actual = decode.step(conditions(), window);
      expect(actual.shape).toEqual([R, windowSize, V]);
      expectClose(`position ${position}`, actual.dataSync(), expected.dataSync(), { atol: 2e-5, rtol: 2e-5 }); // float32 sums
    }
  });
});

test.each([1, 4])("position 0 of decode reads no window: with k = %d, PAD gives what any codes give", (windowSize) => {
  const { model, params } = tinyModel({ windowSize });
  const first = (code: number) =>
    new CachedDecode(model, params, R, T).step(conditions(), tf.fill([R, windowSize], code, "int32"));
  expect([...first(-1).dataSync()]).toEqual([...first(3).dataSync()]);
});

describe("window 1", () => {
  test("has no modules and is the backbone bit for bit", () => {
    const { model, params } = tinyModel({ windowSize: 1 });
    const { backbone } = model;
    expect(model.initModules(1)).toEqual({});
    expect(model.shapes).toEqual(backbone.shapes);
    const tokens = windowsOf(truth(), 1);
    const x = tf.concat(
      [backbone.embedCondition(params, conditions()), backbone.embedCodes(params, tf.squeeze(tokens, [2]))],
      1,
    );
    const { hidden } = backbone.body(params, x, { positions: tf.range(0, T, 1, "int32"), condition: conditions() });
    const expected = backbone.head(params, hidden).dataSync();
    expect([...logitsOf(model, params, tokens).dataSync()]).toEqual([...expected]);
  });
});

/** First predicted tensor whose logits differ. */
function firstDifference(a: tf.Tensor, b: tf.Tensor): number {
  const perSlot = tf.max(tf.max(tf.max(tf.abs(tf.sub(a, b)), 3), 2), 0).dataSync(); // [T]
  return perSlot.findIndex((difference) => difference > 0);
}

describe.each(VARIANTS)("flow of information, $structure, depth $depth", (variant) => {
  const windowSize = 4;
  const position = 9;
  const changed = () => {
    const codes = truth();
    codes[position] = (codes[position]! + 1) % V;
    return codes;
  };

  test("a token reaches predictions only from the first window that holds it on", () => {
    const { model, params } = tinyModel({ windowSize, ...variant });
    const [before, after] = [truth(), changed()].map((codes) => logitsOf(model, params, windowsOf(codes, windowSize)));
    // Window i holds tokens i … i+k-1 and is read by the prediction of X[i+1].
    expect(firstDifference(before!, after!)).toBe(position - windowSize + 2);
  });

  test("with later entries replaced by noise it reaches only predictions after itself", () => {
    const { model, params } = tinyModel({ windowSize, ...variant });
    const noise = randomCodes("noise", [R, T - 1, windowSize], V);
    const noised = (codes: Int32Array) => {
      const windows = slideWindows(codes, { batch: R, tokens: T, windowSize, count: T - 1 });
      return tf.tensor(
        windows.map((code, i) => (i % windowSize === 0 || code < 0 ? code : noise[i]!)),
        [R, T - 1, windowSize],
        "int32",
      );
    };
    const [before, after] = [truth(), changed()].map((codes) => logitsOf(model, params, noised(codes)));
    expect(firstDifference(before!, after!)).toBe(position + 1);
  });

  test("every entry of a window is read, and PAD is not", () => {
    const { model, params } = tinyModel({ windowSize, ...variant });
    const codes = slideWindows(truth(), { batch: R, tokens: T, windowSize, count: T - 1 });
    const logits = (edit: (windows: Int32Array) => void) => {
      const windows = codes.slice();
      edit(windows);
      return logitsOf(model, params, tf.tensor(windows, [R, T - 1, windowSize], "int32"));
    };
    const before = logits(() => {});
    for (let entry = 0; entry < windowSize; entry++) {
      const after = logits((windows) => {
        const at = 5 * windowSize + entry;
        windows[at] = (windows[at]! + 1) % V;
      });
      expect(firstDifference(before, after)).toBe(6);
    }
    // PAD as another negative number: were the embedding of PAD read, entry k-1 of the last window would matter.
    const padded = logits((windows) => {
      const last = windows.length - 1;
      expect(windows[last]).toBe(-1);
      windows[last] = -7;
    });
    expect(firstDifference(before, padded)).toBe(-1);
    const filled = logits((windows) => {
      windows[windows.length - 1] = 0;
    });
    expect(firstDifference(before, filled)).toBe(T - 1);
  });

  test("gradients of all parameters equal finite differences", () => {
    const { model, params } = tinyModel({ windowSize, ...variant }, { ...TINY, n_layer: 1, block_size: 9 });
    const codes = randomCodes("small", [R, 9], V);
    const slide = (count: number) =>
      tf.tensor(slideWindows(codes, { batch: R, tokens: 9, windowSize, count }), [R, count, windowSize], "int32");
    const [windows, targets] = [slide(8), slide(9)];
    const lossOf = (values: Record<string, tf.Tensor>) =>
      windowLoss(model.forward(values, { condition: conditions(), windows }), targets, { weights: [1, 2, 0, 0.5] });
    const { grads } = lossAndGradients(params, lossOf);
    const step = 0.01;
    for (const [name, value] of Object.entries(params)) {
      tf.tidy(() => {
        const direction = randomTensor(`direction/${name}`, value.shape, 1 / Math.sqrt(value.size));
        const moved = (by: number) =>
          lossOf({ ...params, [name]: tf.add(value, tf.mul(direction, by)) }).loss.dataSync()[0]!;
        const slope = (moved(step) - moved(-step)) / (2 * step);
        const expected = tf.sum(tf.mul(grads[name]!, direction)).dataSync()[0]!;
        // The loss is near 3, so rounding alone is 3 · 6e-8 / step ≈ 2e-5, and curvature adds as much.
        expectClose(name, [slope], [expected], { atol: 3e-4, rtol: 2e-2 });
      });
    }
  });
});

test.each(VARIANTS)("the k states are different functions of h, $structure, depth $depth", (variant) => {
  const sizes = moduleSizes(llamaGen(TINY), { windowSize: 4, ...variant });
  const model = attachTensorAR(llamaGen(TINY), { windowSize: 4, ...variant });
  // As they start, with a last projection that is no longer zero.
  const params = Object.fromEntries(
    Object.entries(model.initModules(3)).map(([name, value]) => [
      name,
      /out\.weight|w2\.weight/.test(name) ? randomTensor(name, value.shape, 0.2) : value,
    ]),
  );
  const N = 200;
  const hidden = randomTensor<tf.Tensor2D>("hidden", [N, TINY.dim]);
  const change = tf.sub(outputDecoder(params, sizes, hidden), tf.expandDims(hidden, 1)); // [N, k, D]
  const centred = tf.sub(change, tf.mean(change, 0, true)); // without what is constant in h
  const entries = tf.unstack(centred, 1);
  for (const [i, a] of entries.entries()) {
    for (const b of entries.slice(i + 1)) {
      const dot = (x: tf.Tensor, y: tf.Tensor) => tf.sum(tf.mul(x, y)).dataSync()[0]!;
      const correlation = dot(a, b) / Math.sqrt(dot(a, a) * dot(b, b));
      expect(Math.abs(correlation)).toBeLessThan(0.9); // h + query followed by a norm and a linear map is above 0.99
    }
  }
});
