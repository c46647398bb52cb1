import "@tensorflow/tfjs";
import { mkdir, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openTextEncoder } from "@tensorar/text-encoder/node";
import * as ort from "onnxruntime-node";
import { afterAll, beforeAll, expect, test } from "vitest";
import { TINY_T2I, writeTinyModel, writeTinyTokenizer } from "../../../apps/trainer/test/tiny-models";
import { writeTinyEncoder } from "../../text-encoder/test/folders";
import { TensorAR } from "../src/node";

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
  // Without words there is no condition, so that guidance changes nothing.
  const none = await loaded.generate({ prompt: "", ...settings });
  expect((await loaded.generate({ prompt: "", ...settings, scale: 1 })).codes).toEqual(none.codes);
  await expect(loaded.generate({ prompt: "a", caption: { features, mask } })).rejects.toThrow(
    /takes a caption, not a prompt/,
  );
  await expect(loaded.generate({ prompt: [1, 2] })).rejects.toThrow(/takes a caption of 5 positions/);
  await loaded.dispose();
});
