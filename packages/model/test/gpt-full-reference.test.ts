import "@tensorflow/tfjs";
import { classConditional, expectClose, expectTensor, type LlamaGenCase, requireCases } from "@tensorar/testing";
import * as tf from "@tensorflow/tfjs-core";
import { expect, test } from "vitest";
import type { LlamaGenConfig } from "../src";
import { countParameters, llamaGen, llamaGenShapes } from "../src";
import { compiled } from "./compiled";

const cases = classConditional<LlamaGenConfig>("logits_slice");
requireCases("model of full size", cases);

test.each(cases)("$name has as many parameters as the original", (fixture) => {
  const { config, weights } = fixture.json;
  expect(countParameters(llamaGenShapes(config))).toBe(
    countParameters(Object.fromEntries(weights!.map(({ name, shape }) => [name, shape]))),
  );
});

// About 100 GFLOP: seconds compiled, minutes on tfjs' own backends.
test.each(cases)("$name, evaluation at full size", fullSize, 300_000);

async function fullSize(fixture: LlamaGenCase<LlamaGenConfig>): Promise<void> {
  await tf.setBackend("cpu");
  const backbone = llamaGen(fixture.json.config);
  const params = fixture.params();
  const positions = fixture.int32("positions");
  const inputs = { labels: fixture.int32("labels"), tokens: fixture.int32("tokens") };
  const { shape, data } = await compiled(({ labels, tokens }) => {
    const x = tf.concat([backbone.embedCondition(params, labels!), backbone.embedCodes(params, tokens!)], 1);
    const { hidden } = backbone.body(params, x, {
      positions: tf.range(0, x.shape[1]!, 1, "int32"),
      condition: labels!,
    });
    return backbone.head(params, hidden); // [R, C + T, V]
  }, inputs);
  tf.dispose(params);
  const logits = tf.tensor(data, [...shape]);
  const at = tf.gather(logits, positions as tf.Tensor1D, 1);
  const slice = fixture.tensor("logits_slice");
  expectTensor("logits", tf.slice(at, [0, 0, 0], [-1, -1, slice.shape[2]!]), slice, fixture.tolerance("logits_slice"));
  const { mean, variance } = tf.moments(logits, -1);
  const statistics = fixture.tolerance("mean_std");
  expectClose("mean", mean.dataSync(), fixture.tensor("logits_mean").data as Float64Array, statistics);
  const deviation = tf.sqrt(variance); // over all codes, not one less
  expectClose("std", deviation.dataSync(), fixture.tensor("logits_std").data as Float64Array, statistics);
  expectTensor("max", tf.max(logits, -1), fixture.tensor("logits_max"), fixture.tolerance("logits_slice"));
  expectLikeliest(logits, fixture);
}

/** The likeliest code, wherever the second is further than float32 noise. */
function expectLikeliest(logits: tf.Tensor, fixture: LlamaGenCase<LlamaGenConfig>): void {
  const { values } = tf.topk(logits, 2);
  const best = tf.argMax(logits, -1).dataSync();
  const pairs = values.dataSync();
  const clear = Array.from(best, (_, i) => i).filter((i) => pairs[2 * i]! - pairs[2 * i + 1]! > 1e-3);
  const expected = fixture.tensor("logits_argmax").data as Int32Array;
  expect(clear.length).toBeGreaterThan(best.length / 2);
  expect(clear.map((i) => best[i])).toEqual(clear.map((i) => expected[i]));
}
