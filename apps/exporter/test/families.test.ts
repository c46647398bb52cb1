import { readdirSync, statSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { JanusConfig, LlamaGenConfig, Magvit2ArConfig, RarConfig } from "@tensorar/model";
import type { ModelFolder } from "@tensorar/model/node";
import * as ort from "onnxruntime-node";
import { afterAll, beforeAll, expect, test } from "vitest";
import { exportFolders, readManifest, verifyExport } from "../src/index";
import { eagerBackend } from "../src/runtimes";
import { backbone, vq, writeModel, writeTinyTokenizer } from "./tiny-folders";

let dir: string;
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), "tensorar families "));
  await eagerBackend();
});
afterAll(() => rm(dir, { recursive: true, force: true }));

const [tokens, codes] = [backbone.block_size, backbone.vocab_size];

const rar: RarConfig = {
  ...{ hidden_size: 16, num_hidden_layers: 2, num_attention_heads: 2, intermediate_size: 32 },
  ...{ image_seq_len: tokens, condition_num_classes: 3, codebook_size: codes },
};
const text: LlamaGenConfig = { ...backbone, model_type: "t2i", cls_token_num: 6, caption_dim: 5 };
const prompts: JanusConfig = {
  language: {
    ...{ hidden_size: 16, num_hidden_layers: 2, num_attention_heads: 4, num_key_value_heads: 2 },
    ...{ intermediate_size: 24, vocab_size: 12, rms_norm_eps: 1e-6, rope_theta: 10000 },
  },
  gen_vision: { codebook_size: codes, codebook_embed_dim: 4, grid: Math.sqrt(tokens) },
  ...{ image_token_embed: 8, pad_id: 2 },
};
const pairs: Magvit2ArConfig = {
  ...{ block_size: tokens, spatial_n_layer: 2, factorized_n_layer: 1, n_head: 2, dim: 16, class_num: 3 },
  ...{ factorized_bits: [2, 3], multiple_of: 8 },
};

const families: [ModelFolder["kind"], ModelFolder["backbone"], string[], string[]][] = [
  ["rar", rar, ["prefill.onnx"], ["condition"]],
  ["llamagen", text, ["prefill.onnx"], []], // its decoder step does not read the caption again
  ["janus", prompts, ["prefill.onnx"], []],
  ["magvit2", pairs, ["next-factor.onnx"], ["condition"]],
];

test.each(families)(
  "%s: all graphs of generation, equal to the eager model, with one copy of the weights",
  async (kind, config, more, read) => {
    const [model, tokenizer, out] = [`model ${kind}`, `tokenizer ${kind}`, `export ${kind}`].map((name) =>
      join(dir, name),
    ) as [string, string, string];
    await writeModel(model, 3, kind, config);
    await writeTinyTokenizer(tokenizer, { ...vq, codebook_size: kind === "magvit2" ? 32 : codes });
    const { files } = await exportFolders(model, tokenizer, out);
    const graphs = ["decoder.onnx", ...more];
    expect(readdirSync(out).sort()).toEqual(
      [...graphs, "config.json", "decoder.onnx.data", "image-decoder.onnx"].sort(),
    );
    expect(await readManifest(out)).toMatchObject({ files });
    expect(
      files["decoder.onnx"].inputs.map(({ name }) => name.split("/")[0]).filter((name) => name === "condition"),
    ).toEqual(read);
    const comparisons = await verifyExport(out, ort, { seed: 4 });
    expect(new Set(comparisons.map(({ file }) => file))).toEqual(new Set([...graphs, "image-decoder.onnx"]));
    for (const { file, output, withinTolerance, largestValue } of comparisons) {
      expect(withinTolerance, `${file} ${output}`).toBe(true);
      // LlamaGen's rotary table is 0 at condition slots, and so are their keys.
      const isZero = output === "mask" || (kind === "llamagen" && file === "prefill.onnx" && output === "keys");
      if (!isZero) expect(largestValue, `${file} ${output}`).toBeGreaterThan(0.05);
    }
    const weights = statSync(join(model, "model.safetensors")).size;
    expect(statSync(join(out, "decoder.onnx.data")).size).toBeLessThan(2 * weights); // page alignment of small tensors included
  },
);
