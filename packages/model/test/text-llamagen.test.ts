import "@tensorflow/tfjs";
import { expectClose } from "@tensorar/testing";
import * as tf from "@tensorflow/tfjs-core";
import { beforeAll, describe, expect, test } from "vitest";
import { attachTensorAR, initParameters, initTextLlamaGen, type TextLlamaGenConfig, textLlamaGen } from "../src";

beforeAll(async () => {
  await tf.setBackend("cpu");
});

const config: TextLlamaGenConfig = {
  encoder: {
    vocab_size: 9,
    d_model: 8,
    d_kv: 4,
    num_heads: 2,
    num_layers: 2,
    d_ff: 12,
    relative_attention_num_buckets: 8,
    relative_attention_max_distance: 16,
    feed_forward_proj: "gated-gelu",
    layer_norm_epsilon: 1e-6,
  },
  decoder: { dim: 16, n_layer: 2, n_head: 2, multiple_of: 8, vocab_size: 7, block_size: 4 },
  max_prompt: 10,
  pad_id: 0,
};
const backbone = textLlamaGen(config);
const model = attachTensorAR(backbone, { windowSize: 1 });
const CODES = [3, 1, 6];
/** The same sums in the same order but for terms of exactly 0. */
const EXACT = { atol: 1e-6, rtol: 0 };

/** Logits [4, 7] of the same codes after a prompt. */
function logitsAfter(ids: readonly number[], mask: readonly number[], params: tf.TensorContainerObject): Float32Array {
  const condition = { prompt: tf.tensor2d([[...ids]], undefined, "int32"), mask: tf.tensor2d([[...mask]]) };
  const windows = tf.tensor3d([CODES.map((code) => [code])], undefined, "int32");
  return model.forward(params as Record<string, tf.Tensor>, { condition, windows }).dataSync() as Float32Array;
}

describe("LlamaGen with a text encoder of its own", () => {
  const params = () => initParameters(backbone.shapes, 5, { std: 0.4 });

  test("padding on the left of a prompt changes nothing, whatever token it is", () => {
    const plain = logitsAfter([2, 5, 7, 3], [1, 1, 1, 1], params());
    expectClose("values", logitsAfter([0, 0, 2, 5, 7, 3], [0, 0, 1, 1, 1, 1], params()), plain, EXACT);
    expectClose("values", logitsAfter([8, 4, 2, 5, 7, 3], [0, 0, 1, 1, 1, 1], params()), plain, EXACT);
  });

  test("every word matters, and so does its place", () => {
    const plain = logitsAfter([2, 5, 7, 3], [1, 1, 1, 1], params());
    for (const other of [
      [2, 6, 7, 3],
      [2, 7, 5, 3],
      [2, 5, 3],
    ]) {
      const changed = logitsAfter(
        other,
        other.map(() => 1),
        params(),
      );
      expect(Math.max(...changed.map((value, i) => Math.abs(value - plain[i]!)))).toBeGreaterThan(0.01);
    }
  });

  test("the image's codes turn by their places on the grid, however long the prompt", () => {
    // With keys and values of the prompt that vanish, only codes are seen: then its length plays no part but in the softmax.
    const blind = params();
    blind["cls_embedding.cap_proj.fc2.weight"] = tf.zeros([16, 16]);
    const rows = (logits: Float32Array) => logits.slice(7); // row 0 sees the prompt alone
    const short = rows(logitsAfter([2, 3], [1, 1], blind));
    expectClose("values", rows(logitsAfter([0, 0, 0, 2, 3], [0, 0, 0, 1, 1], blind)), short, EXACT);
    const body = (length: number) => {
      const x = tf.concat(
        [tf.zeros([1, length, 16]), backbone.embedCodes(blind, tf.tensor2d([CODES], undefined, "int32"))],
        1,
      );
      const positions = tf.range(0, length + 3, 1, "int32");
      const condition = { prompt: tf.zeros<tf.Rank.R2>([1, length], "int32"), mask: tf.ones([1, length]) };
      const mask = tf.concat([tf.fill([1, length], -1e9), tf.zeros([1, 3])], 1);
      const { hidden } = backbone.body(blind, x, { positions, condition, mask });
      return tf.slice(hidden, [0, length, 0]).dataSync() as Float32Array;
    };
    expectClose("values", body(5), body(2), EXACT);
  });

  test("gradients reach all parameters, the encoder's too", () => {
    const start = { ...params() };
    const targets = tf.oneHot(tf.tensor1d([1, 2, 3, 4], "int32"), 7);
    const names = Object.keys(start);
    const loss = (...values: tf.Tensor[]) => {
      const named = Object.fromEntries(names.map((name, i) => [name, values[i]!]));
      const condition = { prompt: tf.tensor2d([[0, 2, 5, 3]], undefined, "int32"), mask: tf.tensor2d([[0, 1, 1, 1]]) };
      const windows = tf.tensor3d([CODES.map((code) => [code])], undefined, "int32");
      const logits = tf.reshape(model.forward(named, { condition, windows }), [4, 7]);
      return tf.neg(tf.sum(tf.mul(tf.logSoftmax(logits), targets))) as tf.Scalar;
    };
    const gradients = tf.grads(loss)(Object.values(start));
    for (const [i, gradient] of gradients.entries())
      expect(tf.max(tf.abs(gradient)).dataSync()[0], names[i]!).toBeGreaterThan(1e-7);
  });

  test("starts like its two parts: a head of zeros, and attention of the encoder that is spread", () => {
    const fresh = initTextLlamaGen(config, 1);
    expect(Object.keys(fresh).sort()).toEqual(Object.keys(backbone.shapes).sort());
    expect([...fresh["output.weight"]!.dataSync()].every((value) => value === 0)).toBe(true);
    expect([...fresh["text_encoder.encoder.final_layer_norm.weight"]!.dataSync()]).toEqual(Array(8).fill(1));
    const std = (name: string) => Math.sqrt(tf.moments(fresh[name]!).variance.dataSync()[0]!);
    // Of 64 draws, five standard errors are 0.44 of the value.
    expect(
      Math.abs(std("text_encoder.encoder.block.0.layer.0.SelfAttention.q.weight") * Math.sqrt(32) - 1),
    ).toBeLessThan(0.44);
  });

  test.each([
    [{ pad_id: 9 }, "pad_id 9 is no token; use 0 … 8"],
    [{ max_prompt: 2 }, "max_prompt = 2; use an integer from 3"],
    [{ decoder: { ...config.decoder, block_size: 5 } }, "block_size 5 is not a square"],
    [{ encoder: { ...config.encoder, num_heads: 0 } }, "num_heads = 0; use a positive integer"],
  ])("refuses %j", (changes, message) => {
    expect(() => textLlamaGen({ ...config, ...changes })).toThrow(message);
  });
});
