import "@tensorflow/tfjs";
import {
  classConditional,
  expectClose,
  expectTensor,
  type LlamaGenCase,
  llamaGenCases,
  requireCases,
} from "@tensorar/testing";
import * as tf from "@tensorflow/tfjs-core";
import { afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import type { LlamaGenConfig } from "../src";
import {
  adamW,
  attachTensorAR,
  initAdamW,
  llamaGen,
  llamaGenShapes,
  lossAndGradients,
  type Params,
  windowLoss,
} from "../src";
import { causalMask } from "../src/attention";
import { llamaGenBlock } from "../src/llamagen-block";
import { llamaGenSizes } from "../src/llamagen-config";
import { crossEntropy } from "../src/ops/cross-entropy";
import { rmsNorm } from "../src/ops/rms-norm";
import { ropeTable2d, ropeTables, spreadRopeTable } from "../src/ops/rope";

// Expected values: the original PyTorch code in float32. Tolerances are the fixtures' own: about ten times the distance
// of the original's float32 from float64, which is what another order of summation may cost.

const cases = llamaGenCases<LlamaGenConfig>();
requireCases("LlamaGen", cases);

beforeAll(async () => {
  await tf.setBackend("cpu");
});
beforeEach(() => tf.engine().startScope());
afterEach(() => tf.engine().endScope());

/** Conditions with the unconditional class where the fixture forces a drop. */
function droppedLabels(fixture: LlamaGenCase<LlamaGenConfig>): tf.Tensor {
  const dropped = fixture.tensor("force_drop_ids").data as Int32Array;
  const labels = fixture.tensor("labels").data as Int32Array;
  const { unconditionalClass } = llamaGen(fixture.json.config);
  return tf.tensor1d(
    Array.from(labels, (label, i) => (dropped[i] === 1 ? unconditionalClass : label)),
    "int32",
  );
}

/** Logits of next-token training: the base model is a TensorAR model of window 1. */
function trainLogits(fixture: LlamaGenCase<LlamaGenConfig>, params: Params, condition: tf.Tensor): tf.Tensor {
  const backbone = llamaGen(fixture.json.config);
  const windows = tf.slice(fixture.int32("tokens"), [0, 0], [-1, backbone.tokens - 1]);
  return attachTensorAR(backbone, { windowSize: 1 }).forward(params, { condition, windows: tf.expandDims(windows, 2) });
}

function trainLoss(fixture: LlamaGenCase<LlamaGenConfig>, params: Params, condition: tf.Tensor): tf.Tensor {
  return windowLoss(trainLogits(fixture, params, condition), tf.expandDims(fixture.int32("tokens"), 2)).loss;
}

const scalar = (tensor: tf.Tensor): number => tensor.dataSync()[0]!;

describe.each(classConditional<LlamaGenConfig>("train.logits"))("$name, training", (fixture) => {
  test("parameters have the original's names and shapes", () => {
    const recipes = fixture.json.weights!.map(({ name, shape }) => [name, shape]);
    expect(llamaGenShapes(fixture.json.config)).toEqual(Object.fromEntries(recipes));
  });

  test("logits and loss", () => {
    const params = fixture.params();
    const labels = fixture.int32("labels");
    const logits = tf.squeeze(trainLogits(fixture, params, labels), [2]);
    expectTensor("logits", logits, fixture.tensor("train.logits"), fixture.tolerance("logits"));
    const loss = trainLoss(fixture, params, labels);
    expectTensor("loss", loss, fixture.tensor("train.loss"), fixture.tolerance("loss"));
  });

  test("loss with `valid` weights of the samples", () => {
    const { data } = fixture.tensor("valid");
    const logits = trainLogits(fixture, fixture.params(), fixture.int32("labels"));
    const flat = tf.reshape(logits, [-1, fixture.json.config.vocab_size]) as tf.Tensor2D;
    const entropy = crossEntropy(flat, fixture.int32("tokens").flatten());
    const valid = tf.tile(tf.tensor2d(data as Float32Array, [data.length, 1]), [1, fixture.json.config.block_size]);
    const loss = scalar(tf.sum(tf.mul(entropy, valid.flatten()))) / Math.max(scalar(tf.sum(valid)), 1);
    expectClose(
      "loss_valid",
      [loss],
      fixture.tensor("train.loss_valid").data as Float32Array,
      fixture.tolerance("loss"),
    );
  });

  test("hidden states of every layer", () => {
    const { config } = fixture.json;
    const sizes = llamaGenSizes(config);
    const backbone = llamaGen(config);
    const params = fixture.params();
    const tokens = tf.slice(fixture.int32("tokens"), [0, 0], [-1, backbone.tokens - 1]);
    const prefix = backbone.embedCondition(params, fixture.int32("labels"));
    const x = tf.concat([prefix, backbone.embedCodes(params, tokens)], 1);
    const table = ropeTable2d(sizes.grid, sizes.headDim, config.rope_base ?? 10000, config.cls_token_num);
    const spread = tf.tensor(spreadRopeTable(table, sizes.headDim), [
      x.shape[1]! + 1,
      2 * sizes.headDim,
    ]) as tf.Tensor2D;
    const positions = tf.range(0, x.shape[1]!, 1, "int32");
    const tables = ropeTables(spread, positions, {
      heads: config.n_head,
      keyHeads: sizes.keyHeads,
    });
    let h = tf.reshape(x, [-1, config.dim]) as tf.Tensor2D;
    const expectHidden = (name: string, hidden: tf.Tensor) =>
      expectTensor(name, tf.reshape(hidden, x.shape), fixture.tensor(name), fixture.tolerance("hidden"));
    for (let layer = 0; layer < config.n_layer; layer++) {
      const weight = <T extends tf.Tensor>(name: string) => params[`layers.${layer}.${name}`] as T;
      h = llamaGenBlock(config, sizes, weight, h, {
        tables,
        length: x.shape[1]!,
        own: causalMask(positions, { group: config.n_head / sizes.keyHeads }),
        cache: undefined,
      }).hidden;
      expectHidden(`train.hidden.${layer}`, h);
    }
    expectHidden("train.hidden_final_norm", rmsNorm(h, params["norm.weight"] as tf.Tensor1D, config.norm_eps ?? 1e-5));
  });

  test("gradients", () => {
    const labels = fixture.int32("labels");
    const { grads } = lossAndGradients(fixture.params(), (params) => ({ loss: trainLoss(fixture, params, labels) }));
    const names = fixture.json.grad_names!;
    expect(Object.keys(grads).sort()).toEqual([...names].sort());
    const norms = names.map((name) => scalar(tf.norm(grads[name]!)));
    const tolerance = fixture.tolerance("grads");
    expectClose("gradient norms", norms, fixture.tensor("train.grad_norms").data as Float64Array, tolerance);
    for (const name of names.filter((each) => fixture.has(`train.grad.${each}`))) {
      expectTensor(name, grads[name]!, fixture.tensor(`train.grad.${name}`), tolerance);
    }
  });

  test("dropped labels", () => {
    const params = fixture.params();
    const labels = droppedLabels(fixture);
    expect([...labels.dataSync()]).toEqual([...(fixture.tensor("train_drop.labels").data as Int32Array)]);
    const logits = tf.squeeze(trainLogits(fixture, params, labels), [2]);
    expectTensor("logits", logits, fixture.tensor("train_drop.logits"), fixture.tolerance("logits"));
    const loss = trainLoss(fixture, params, labels);
    expectTensor("loss", loss, fixture.tensor("train_drop.loss"), fixture.tolerance("loss"));
  });
});

test.each(classConditional<LlamaGenConfig>("eval_full.logits"))(
  "$name, evaluation of the whole sequence",
  (fixture) => {
    const backbone = llamaGen(fixture.json.config);
    const params = fixture.params();
    const prefix = backbone.embedCondition(params, fixture.int32("labels"));
    const x = tf.concat([prefix, backbone.embedCodes(params, fixture.int32("tokens"))], 1);
    const { hidden } = backbone.body(params, x, {
      positions: tf.range(0, x.shape[1]!, 1, "int32"),
      condition: fixture.int32("labels"),
    });
    expectTensor(
      "logits",
      backbone.head(params, hidden),
      fixture.tensor("eval_full.logits"),
      fixture.tolerance("logits"),
    );
  },
);

test.each(classConditional<LlamaGenConfig>("rope_table"))("$name, rotary table", (fixture) => {
  const { config } = fixture.json;
  const { grid, headDim } = llamaGenSizes(config);
  const table = ropeTable2d(grid, headDim, config.rope_base ?? 10000, config.cls_token_num);
  expectClose("rope", table, fixture.tensor("rope_table").data as Float32Array, fixture.tolerance("rope_table"));
});

describe.each(cases.filter(({ json }) => json.tables !== undefined))("$name", (fixture) => {
  test.each(fixture.json.tables!)("grid $grid, head $head_dim, $cls_token_num condition positions", (table) => {
    const actual = ropeTable2d(table.grid, table.head_dim, table.base, table.cls_token_num);
    expectClose("table", actual, fixture.tensor(table.output).data as Float32Array, fixture.tolerance("all"));
  });
});

test.each(cases.filter(({ json }) => json.optimizer !== undefined))("$name, optimizer steps", (fixture) => {
  const { lr, betas, eps, weight_decay: weightDecay, clip, steps } = fixture.json.optimizer!;
  const labels = droppedLabels(fixture);
  let params = fixture.params();
  let state = initAdamW(params);
  const losses: number[] = [];
  const norms: number[] = [];
  for (let step = 1; step <= steps; step++) {
    const { metrics, grads } = lossAndGradients(params, (each) => ({ loss: trainLoss(fixture, each, labels) }));
    const [learningRate, count] = [tf.scalar(lr), tf.scalar(step)];
    const next = adamW(params, grads, state, { learningRate, step: count, betas, eps, weightDecay, clip });
    losses.push(scalar(metrics.loss));
    norms.push(scalar(next.gradNorm));
    ({ params, state } = next);
  }
  const tolerance = fixture.tolerance("losses");
  expectClose("losses", losses, fixture.tensor("losses").data as Float64Array, tolerance);
  // Norms have no tolerance of their own in the fixtures; they are sums of squares over the same float32 gradients.
  const norm = { atol: 0, rtol: 1e-4 };
  expectClose("norms", norms, fixture.tensor("grad_norms_before_clip").data as Float64Array, norm);
  const after = Object.keys(fixture.json.tensors).filter((name) => name.startsWith("after."));
  expect(after.length).toBeGreaterThan(0);
  for (const name of after) {
    expectTensor(name, params[name.slice("after.".length)]!, fixture.tensor(name), fixture.tolerance("after"));
  }
});
