import { mkdirSync } from "node:fs";
import { cp, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { castTensor, type TensorData } from "@tensorar/checkpoint";
import { writeSafetensors } from "@tensorar/checkpoint/node";
import { t5Encoder } from "@tensorar/model";
import { loadModel } from "@tensorar/model/node";
import { expectTensor } from "@tensorar/testing";
import { describeTextEncoder, loadTextEncoder, textEncoderOf } from "@tensorar/text-encoder/node";
import { afterAll, beforeAll, expect, test } from "vitest";
import { TINY_T5, WORD_TOKENIZER } from "../../../packages/text-encoder/test/folders";
import { runCli } from "./run-cli";
import { randomTensors, TINY_T2I } from "./tiny-models";

let dir: string;
let sources: string;
const tensors = randomTensors(t5Encoder(TINY_T5).shapes) as Record<string, TensorData<"float32">>;

/** All that a checkpoint of T5 holds beside its encoder. */
const whole: Record<string, TensorData> = {
  ...tensors,
  "encoder.embed_tokens.weight": tensors["shared.weight"]!,
  "decoder.embed_tokens.weight": tensors["shared.weight"]!,
  ...randomTensors({ "lm_head.weight": [8, 8], "decoder.block.0.layer.0.SelfAttention.q.weight": [8, 8] }),
};

beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), "tensorar t5 "));
  sources = join(dir, "flan-t5");
  mkdirSync(sources);
  for (const [name, value] of Object.entries(WORD_TOKENIZER))
    await writeFile(join(sources, name), JSON.stringify(value));
  await writeFile(join(dir, "t5.json"), JSON.stringify({ ...TINY_T5, architectures: ["T5ForConditionalGeneration"] }));
  // Two files and an index, in bfloat16, as Hugging Face repositories hold them.
  const parts = [{}, {}] as Record<string, TensorData>[];
  for (const [i, [name, tensor]] of Object.entries(whole).entries())
    parts[i % 2]![name] = castTensor(tensor as TensorData<"float32">, "bfloat16");
  const weightMap: Record<string, string> = {};
  for (const [i, part] of parts.entries()) {
    const file = `model-0000${i + 1}-of-00002.safetensors`;
    await writeSafetensors(join(sources, file), part);
    for (const name of Object.keys(part)) weightMap[name] = file;
  }
  const index = { metadata: {}, weight_map: weightMap };
  await writeFile(join(sources, "model.safetensors.index.json"), JSON.stringify(index));
});
afterAll(() => rm(dir, { recursive: true, force: true }));

const convert = (...args: string[]) => runCli(["convert", ...args]);

test("a sharded checkpoint becomes a text encoder, without its decoder", async () => {
  const out = join(dir, "t5");
  const { status, output } = await convert("--from", "t5", "--model", join(dir, "t5.json"), sources, "--output", out);
  expect(status, output).toBe(0);
  const loaded = await loadTextEncoder(out);
  expect(loaded).toMatchObject({ kind: "t5", maxLength: 120, cleanCaptions: true, padding: "left" });
  expect(Object.keys(loaded.tensors).sort()).toEqual(Object.keys(tensors).sort());
  for (const [name, { shape, data }] of Object.entries(tensors)) {
    const bf16 = castTensor(castTensor({ dtype: "float32", shape, data }, "bfloat16"), "float32");
    const [found, exact] = [loaded.tensors[name]!, { atol: 0, rtol: 0 }];
    expectTensor(name, { shape, data: found.data as Float32Array }, { shape, data: bf16.data as Float32Array }, exact);
  }
});

test("a model of captions is told its text encoder", async () => {
  const t2i = { ...TINY_T2I, caption_dim: TINY_T5.d_model, cls_token_num: 5 };
  await writeFile(join(dir, "t2i.json"), JSON.stringify(t2i));
  const { llamaGen } = await import("@tensorar/model");
  await writeSafetensors(join(dir, "t2i.safetensors"), randomTensors(llamaGen(t2i).shapes));
  const encoder = join(dir, "five");
  const settings = ["--text-length", "5", "--no-clean-captions", "--precision", "float16"];
  const made = await convert(
    "--from",
    "t5",
    "--model",
    join(dir, "t5.json"),
    sources,
    "--output",
    encoder,
    ...settings,
  );
  expect(made.status, made.output).toBe(0);
  expect(await describeTextEncoder(encoder)).toMatchObject({ maxLength: 5, cleanCaptions: false });

  const model = [
    "--from",
    "llamagen",
    "--model",
    join(dir, "t2i.json"),
    join(dir, "t2i.safetensors"),
    "--image-size",
    "256",
  ];
  const out = join(dir, "models", "t2i");
  const { status, output } = await convert(...model, "--output", out, "--text-encoder", encoder);
  expect(status, output).toBe(0);
  expect((await loadModel(out)).textEncoder).toBe("../../five");
  expect(await textEncoderOf(out)).toBe(encoder);

  const other = await convert(...model, "--output", join(dir, "other"), "--text-encoder", join(dir, "t5"));
  expect(other.status).toBe(1);
  expect(other.output).toMatch(
    /t5 makes features of 120 positions of width 8, but the model takes 5 positions of width 8; give the/,
  );
});

test.each([
  ["a missing tokenizer", ["--model", "t5.json", "moved"], /tokenizer\.json can't be copied/],
  ["another size", ["--model", "flan-t5-base", "flan-t5"], /is not flan-t5-base of t5/],
  [
    "an unknown size",
    ["--model", "t5-small", "flan-t5"],
    /--model of t5: "t5-small" is unknown; choose one of flan-t5-base/,
  ],
  [
    "a tokenizer of images",
    ["--model", "t5.json", "flan-t5", "--tokenizer", "x"],
    /--from t5 converts a text encoder.*\(tokenizer\)/,
  ],
])("%s is refused", async (what, args, message) => {
  if (what === "a missing tokenizer") {
    await cp(sources, join(dir, "moved"), { recursive: true });
    await rm(join(dir, "moved", "tokenizer.json"));
  }
  const paths = args.map((arg) => (/^(moved|flan-t5|t5\.json)$/.test(arg) ? join(dir, arg) : arg));
  const { status, output } = await convert("--from", "t5", ...paths, "--output", join(dir, "refused"));
  expect(status, output).toBe(1);
  expect(output).toMatch(message);
  expect(output).not.toMatch(/\n\s+at /);
  await expect(readFile(join(dir, "refused", "config.json"))).rejects.toThrow();
});
