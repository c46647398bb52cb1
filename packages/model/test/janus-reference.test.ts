import "@tensorflow/tfjs";
import { expectClose, expectTensor, type ReferenceCase, referenceCases, requireCases } from "@tensorar/testing";
import * as tf from "@tensorflow/tfjs-core";
import { afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import {
  attachTensorAR,
  countParameters,
  type JanusConfig,
  type JanusSize,
  janus,
  janusConfig,
  janusShapes,
  type Params,
  type PromptCondition,
} from "../src";

// Expected values: the original PyTorch code in float32, its language model re-stated; the fixtures' own tolerances.

const cases = referenceCases("generation_inference.py (loop re-stated)");
requireCases("Janus", cases);

beforeAll(async () => {
  await tf.setBackend("cpu");
});
beforeEach(() => tf.engine().startScope());
afterEach(() => tf.engine().endScope());

const configOf = ({ json }: ReferenceCase) => json.config as unknown as JanusConfig;

const promptOf = (prompt: tf.Tensor): PromptCondition => ({ prompt, mask: tf.ones(prompt.shape) });

test("published sizes have about as many parameters as their names say, in thousand millions", () => {
  // What is left out, the way of images into the model and the text's head, is about 0.6 of the 1B and 0.8 of the 7B.
  const stated: Record<JanusSize, number> = { "Janus-Pro-1B": 1.5, "Janus-Pro-7B": 6.6 };
  for (const [size, count] of Object.entries(stated)) {
    const actual = countParameters(janusShapes(janusConfig(size as JanusSize))) / 1e9;
    expect(Math.abs(actual / count - 1)).toBeLessThan(0.05);
  }
});

describe.each(cases)("$name", (fixture) => {
  const config = configOf(fixture);
  const backbone = janus(config);

  test("parameters have the original's names and shapes", () => {
    const recipes = new Map(fixture.json.weights!.map(({ name, shape }) => [name, shape]));
    const shapes = janusShapes(config);
    for (const [name, shape] of Object.entries(shapes)) expect(recipes.get(name), name).toEqual(shape);
    const left = [...recipes.keys()].filter((name) => !Object.hasOwn(shapes, name));
    expect(left.every((name) => /^gen_vision_model\.|^language_model\.lm_head\./.test(name))).toBe(true);
  });

  /** Hidden states [rows, P + T, D] of prompts, each followed by a whole image. */
  function teacherForced(params: Params) {
    const image = fixture.int32("image_ids"); // [N, T]
    const rows = fixture.int32("prompt_rows"); // [2 N, P], conditional and not in turn
    const even = tf.range(0, rows.shape[0]!, 2, "int32");
    const [, length] = fixture.tensor("teacher_forced.inputs_embeds").shape as [number, number];
    const given = image.shape[0] === rows.shape[0] ? rows : tf.gather(rows, even);
    const condition = promptOf(given);
    const x = tf.concat([backbone.embedCondition(params, condition), backbone.embedCodes(params, image)], 1);
    expect(x.shape[1]).toBe(length);
    const positions = tf.range(0, length, 1, "int32");
    const mask = backbone.conditionMask!(condition);
    const padded = tf.concat([mask, tf.zeros([mask.shape[0]!, length - mask.shape[1]!])], 1);
    return { x, hidden: backbone.body(params, x, { positions, condition, mask: padded }).hidden };
  }

  test("embeddings of codes", () => {
    const embedded = backbone.embedCodes(fixture.params(), fixture.int32("image_ids"));
    expectTensor("embeddings", embedded, fixture.tensor("gen_img_embeds"), fixture.tolerance("hidden"));
  });

  test("teacher forced: embeddings, hidden states and logits", () => {
    const params = fixture.params();
    const { x, hidden } = teacherForced(params);
    expectTensor("x", x, fixture.tensor("teacher_forced.inputs_embeds"), fixture.tolerance("hidden"));
    expectTensor("hidden", hidden, fixture.tensor("teacher_forced.last_hidden_state"), fixture.tolerance("hidden"));
    const logits = backbone.head(params, hidden);
    expectTensor("logits", logits, fixture.tensor("teacher_forced.gen_logits"), fixture.tolerance("gen_logits"));
  });

  test("the language model's text logits", () => {
    const params = fixture.params();
    const prompt = tf.slice(fixture.int32("prompt_rows"), [0, 0], [1, -1]);
    const condition = promptOf(prompt);
    const positions = tf.range(0, prompt.shape[1]!, 1, "int32");
    const { hidden } = backbone.body(params, backbone.embedCondition(params, condition), { positions, condition });
    const logits = tf.matMul(hidden, tf.expandDims(params["language_model.lm_head.weight"]!, 0), false, true);
    expectTensor("text", logits, fixture.tensor("text_logits_first_row"), fixture.tolerance("gen_logits"));
  });

  test("a prompt padded on the left predicts what it predicts alone", () => {
    const params = fixture.params();
    const model = attachTensorAR(backbone, { windowSize: 1 });
    const prompt = tf.slice(fixture.int32("prompt_rows"), [0, 0], [1, -1]);
    const alone = model.prefill(params, { condition: promptOf(prompt) });
    const padding: [number, number][] = [
      [0, 0],
      [3, 0],
    ];
    const condition = {
      prompt: tf.pad(prompt, padding),
      mask: tf.pad(tf.onesLike(tf.cast(prompt, "float32")), padding),
    };
    const padded = model.prefill(params, { condition });
    const tolerance = fixture.tolerance("gen_logits"); // rotary angles are others, their differences the same
    expectClose("prefill", padded.logits.dataSync(), alone.logits.dataSync(), tolerance);
    const next = (prefill: typeof alone, positions: number) =>
      model.decode(params, {
        condition,
        window: tf.tensor2d([[1]], [1, 1], "int32"),
        position: tf.tensor1d([positions], "int32"),
        mask: prefill.mask,
        keys: prefill.keys,
        values: prefill.values,
      }).logits;
    const P = prompt.shape[1]!;
    expectClose("step", next(padded, P + 3).dataSync(), next(alone, P).dataSync(), tolerance);
  });
});
