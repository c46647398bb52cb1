import "./backend";
import { expectTensor, type ReferenceCase, requireCases } from "@tensorar/testing";
import * as tf from "@tensorflow/tfjs-core";
import { describe, expect, test } from "vitest";
import { createTokenizer, type VqConfig, withoutPrefix } from "../src";
import { channelsFirst } from "./layout";
import { casesFrom } from "./vq-cases";

const PREFIX = "gen_vision_model.";

const cases = casesFrom("deepseek-ai/Janus", "/vq_model.py");
requireCases("Janus", cases);

for (const each of cases) describe(each.name, () => parity(each));

type JanusVision = Pick<VqConfig, "codebook_size" | "codebook_embed_dim" | "z_channels" | "ch" | "num_res_blocks"> & {
  readonly ch_mult: readonly number[];
  readonly grid: number;
};

function parity(given: ReferenceCase): void {
  const { ch_mult, grid, ...vision } = (given.json.config as { gen_vision: JanusVision }).gen_vision;
  const tokenizer = createTokenizer({
    kind: "vq",
    config: {
      ...vision,
      encoder_ch_mult: ch_mult,
      decoder_ch_mult: ch_mult,
      codebook_l2_norm: true, // the case file's note
      codebook_show_usage: false,
      commit_loss_beta: 0.25,
      entropy_loss_ratio: 0,
    },
  });
  const weights = given.json.weights!.filter(({ name }) => name.startsWith(PREFIX));

  test("has LlamaGen's parameters under a prefix", () => {
    const shapes = Object.fromEntries(weights.map(({ name, shape }) => [name, shape]));
    expect(tokenizer.shapes).toEqual(withoutPrefix(shapes, PREFIX));
  });

  test("decodes codes", () => {
    tf.tidy(() => {
      const params = withoutPrefix(given.params(), PREFIX);
      const { shape } = given.expected("image_ids");
      const codes = tf.tensor2d(given.integers("image_ids"), shape as [number, number], "int32");
      const images = tokenizer.decode(params, codes, [grid, grid]);
      expectTensor("decoded", channelsFirst(images), given.expected("decoded"), given.json.tolerances.decoded!);
    });
  });
}
