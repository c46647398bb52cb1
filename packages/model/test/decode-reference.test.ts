import "@tensorflow/tfjs";
import { classConditional, expectClose, requireCases } from "@tensorar/testing";
import * as tf from "@tensorflow/tfjs-core";
import { afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import type { LlamaGenConfig } from "../src";
import { attachTensorAR, llamaGen } from "../src";
import { CachedDecode } from "./cached-decode";

const cases = classConditional<LlamaGenConfig>("cache.step_logits");
requireCases("cached decoding", cases);

beforeAll(async () => {
  await tf.setBackend("cpu");
});
beforeEach(() => tf.engine().startScope());
afterEach(() => tf.engine().endScope());

describe.each(cases)("$name", (fixture) => {
  const model = attachTensorAR(llamaGen(fixture.json.config), { windowSize: 1 });
  const { tokens: T, vocabSize: V, unconditionalClass, cache } = model.backbone;

  test("cached decoding, step by step", () => {
    const labels = fixture.int32("labels");
    const [rows] = labels.shape as [number];
    const tokens = fixture.int32("tokens");
    const decode = new CachedDecode(model, fixture.params(), rows, T);
    const expected = fixture.tensor("cache.step_logits").data as Float32Array; // [R, T, V]
    for (let step = 0; step < T; step++) {
      const logits = decode.step(labels, tf.slice(tokens, [0, Math.max(0, step - 1)], [-1, 1]));
      for (let row = 0; row < rows; row++) {
        const at = (row * T + step) * V;
        const actual = logits.dataSync().subarray(row * V, (row + 1) * V);
        expectClose(`step ${step}, row ${row}`, actual, expected.subarray(at, at + V), fixture.tolerance("logits"));
      }
    }
    // The original's cache is longer than what it fills, and its values are of the same size as hidden states.
    for (const [name, ours] of [
      ["cache.layer0_k_final", decode.keys(0)],
      ["cache.layer0_v_final", decode.values(0)],
    ] as const) {
      const { data, shape } = fixture.tensor(name);
      const filled = tf.slice(tf.tensor(data as Float32Array, [...shape]), 0, [rows, cache.heads, T, cache.headDim]);
      expectClose(name, ours.dataSync(), filled.dataSync(), fixture.tolerance("hidden"));
    }
  });

  test.each(fixture.json.generate!)("greedy, guidance $cfg_scale, interval $cfg_interval", (run) => {
    const { cfg_scale: scale, cfg_interval: interval, output } = run;
    const labels = fixture.int32("labels");
    const [images] = labels.shape as [number];
    const guided = scale > 1;
    const condition = guided ? tf.concat([labels, tf.fill([images], unconditionalClass, "int32")]) : labels;
    const decode = new CachedDecode(model, fixture.params(), condition.shape[0]!, T);
    const drawn: tf.Tensor[] = [];
    let window = tf.zeros([condition.shape[0]!, 1], "int32");
    for (let step = 0; step < T; step++) {
      const logits = tf.squeeze(decode.step(condition, window), [1]); // [R, V]
      // Decode step s of the original follows the prefill; beyond the interval it uses the conditional logits alone.
      const mixes = guided && (interval < 0 || step - 1 <= interval);
      const [conditional, without] = guided ? (tf.split(logits, 2) as [tf.Tensor, tf.Tensor]) : [logits, logits];
      const mixed = mixes ? tf.add(without, tf.mul(tf.sub(conditional, without), scale)) : conditional;
      const codes = tf.cast(tf.argMax(mixed, -1), "int32");
      drawn.push(codes);
      window = tf.expandDims(guided ? tf.concat([codes, codes]) : codes, 1);
    }
    const tokens = [...tf.stack(drawn, 1).dataSync()];
    expect(tokens).toEqual([...(fixture.tensor(output).data as Int32Array)]);
  });
});
