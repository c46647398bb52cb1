import "@tensorflow/tfjs";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as text from "@tensorar/text";
import { openTextEncoder } from "@tensorar/text-encoder/node";
import * as ort from "onnxruntime-node";
import { afterAll, beforeAll, expect, test } from "vitest";
import { TINY_T2I, writeTinyModel, writeTinyTokenizer } from "../../../apps/trainer/test/tiny-models";
import { writeTinyEncoder } from "../../text-encoder/test/folders";
import * as browser from "../src/index";
import { TensorAR } from "../src/node";
import { tracing } from "../src/tracing";
import { served } from "./served";

let dir: string;
let model: string;
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), "pipeline-prompts-"));
  model = await writeTinyModel(join(dir, "model"), { backbone: TINY_T2I, classes: [] });
  await writeTinyTokenizer(join(model, "tokenizer"));
});
afterAll(() => rm(dir, { recursive: true }));

test("a text as prompt is read by the text encoder in the model's folder", async () => {
  const loaded = await TensorAR.load(model);
  const settings = { count: 2, seed: 5, scale: 4 };
  await expect(loaded.generate({ prompt: "a red heart", ...settings })).rejects.toThrow(
    /model\/text-encoder: there is no text encoder; put that of the model there/,
  );
  const folder = join(model, "text-encoder");
  await mkdir(folder);
  await writeTinyEncoder(folder);
  const { codes } = await loaded.generate({ prompt: "a red heart", ...settings });

  const encoder = await openTextEncoder(folder, { runtime: ort });
  const { features, mask } = await encoder.encode(["a red heart"]);
  await encoder.dispose();
  expect((await loaded.generate({ caption: { features, mask }, ...settings })).codes).toEqual(codes);
  expect((await loaded.generate({ prompt: "blue", ...settings })).codes).not.toEqual(codes);
  expect((await loaded.generate({ prompt: "red ".repeat(9), ...settings })).notes).toEqual([
    expect.stringMatching(/^1 text is cut to the first 5 tokens: text 1 has 10$/),
  ]);
  // Without words there is no condition, so that guidance changes nothing.
  const none = await loaded.generate({ prompt: "", ...settings });
  expect((await loaded.generate({ prompt: "", ...settings, scale: 1 })).codes).toEqual(none.codes);
  await expect(loaded.generate({ prompt: "a", caption: { features, mask } })).rejects.toThrow(
    /takes a caption, not a prompt/,
  );
  await expect(loaded.generate({ prompt: [1, 2] })).rejects.toThrow(/takes a caption of 5 positions/);
  await loaded.dispose();
});

/** A model of prompts of at most 8 tokens, with its tokenizer. */
async function writePromptModel(folder: string): Promise<string> {
  const captions = ["a red heart", "a blue star", "red star in noto style"];
  const { tokenizer, config, vocabularySize, padId } = text.wordPieceTokenizer(captions, 120);
  const { dim, n_layer, n_head, multiple_of, vocab_size, block_size } = TINY_T2I;
  await writeTinyModel(folder, {
    kind: "llamagen-text",
    classes: [],
    backbone: {
      encoder: {
        vocab_size: vocabularySize,
        d_model: 8,
        d_kv: 4,
        num_heads: 2,
        num_layers: 1,
        d_ff: 16,
        relative_attention_num_buckets: 32,
        relative_attention_max_distance: 128,
        feed_forward_proj: "gated-gelu",
        layer_norm_epsilon: 1e-6,
      },
      decoder: { dim, n_layer, n_head, multiple_of, vocab_size, block_size },
      max_prompt: 8,
      pad_id: padId,
    },
  });
  await writeTinyTokenizer(join(folder, "tokenizer"));
  await writeFile(join(folder, "tokenizer.json"), JSON.stringify(tokenizer));
  await writeFile(join(folder, "tokenizer_config.json"), JSON.stringify(config));
  return folder;
}

test("prompts as texts in a browser, with the namespace of @tensorar/text: the same images, and what is not read is said", async () => {
  const folder = await writePromptModel(join(dir, "prompted"));
  const inNode = await TensorAR.load(folder);
  const options = { runtime: ort, device: "cpu", tracing } as const;
  const url = await served(folder);
  const loaded = await browser.TensorAR.load(url, { ...options, text });
  const settings = { seed: 3, count: 2, scale: 3 };
  const { codes, notes } = await loaded.generate({ ...settings, prompt: "a red heart" });
  expect(notes).toEqual([]);
  expect((await inNode.generate({ ...settings, prompt: "a red heart" })).codes).toEqual(codes);
  expect((await loaded.generate({ ...settings, prompt: "a blue star" })).codes).not.toEqual(codes);

  const long = await loaded.generate({ ...settings, prompt: "red ".repeat(100) });
  expect(long.notes).toEqual(["the prompt is cut to the first 8 of its 102 tokens"]);
  expect((await loaded.generate({ ...settings, prompt: "red ".repeat(6) })).codes).toEqual(long.codes);
  // Joined emoji and a mark of direction are unknown words, no more.
  const odd = await loaded.generate({ ...settings, prompt: "a \u{1f469}\u200d\u{1f680} \u05dc\u05d1" });
  expect(odd.notes).toEqual([expect.stringMatching(/^the tokenizer does not know all of ".*", ".*"$/u)]);
  const empty = await loaded.generate({ ...settings, prompt: " " });
  expect(empty.notes).toEqual(["the prompt has no words, which makes images unconditional"]);
  expect((await loaded.generate({ ...settings, prompt: "", scale: 1 })).codes).toEqual(empty.codes);
  await Promise.all([inNode.dispose(), loaded.dispose()]);

  const without = await browser.TensorAR.load(url, options);
  await expect(without.generate({ prompt: "a" })).rejects.toThrow(
    /pass the option text, the namespace of @tensorar\/text/,
  );
  await without.dispose();
});
