import { readFileSync } from "node:fs";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { readSafetensors, writeSafetensors } from "@tensorar/checkpoint/node";
import { saveCodes } from "@tensorar/data";
import {
  type JanusConfig,
  janusShapes,
  type LlamaGenConfig,
  llamaGenShapes,
  type Magvit2ArConfig,
  magvit2ArShapes,
  type ParameterShapes,
} from "@tensorar/model";
import { createStream } from "@tensorar/noise";
import { TINY_VQ } from "@tensorar/testing";
import { createTokenizer, OPEN_MAGVIT2_16, type VqConfig } from "@tensorar/tokenizer";
import { afterAll, beforeAll, expect, test } from "vitest";
import { runCli } from "./run-cli";

// Every family from a checkpoint with the original's names to images and a TensorAR model: what is right about the
// numbers is tested in the packages, here that the parts fit.

let dir: string;
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), "tensorar models "));
});
afterAll(() => rm(dir, { recursive: true, force: true }));

/** Small random parameters, as tensors of a checkpoint whose names begin with `prefix`. */
function randomCheckpoint(shapes: ParameterShapes, prefix = "") {
  const random = createStream(3, "checkpoint");
  return Object.fromEntries(
    Object.entries(shapes).map(([name, shape]) => {
      const data = new Float32Array(shape.reduce((a, b) => a * b, 1));
      return [`${prefix}${name}`, { dtype: "float32" as const, shape, data: data.map(() => 0.1 * random.normal()) }];
    }),
  );
}

async function json(name: string, value: unknown): Promise<string> {
  await writeFile(join(dir, name), JSON.stringify(value));
  return join(dir, name);
}

async function succeed(...args: string[]): Promise<void> {
  const { status, output } = await runCli(args);
  expect(status, output).toBe(0);
}

const samplesOf = (name: string) => readSafetensors(join(dir, name, "shards", "00000.safetensors"));

const VQ: VqConfig = TINY_VQ;

/** Codes of a data set of 2 x 2 grids, with captions. */
async function writeCodes(name: string, vocabSize: number, classes: string[]): Promise<string> {
  const count = 6;
  const random = createStream(5, name);
  await saveCodes(join(dir, name), {
    count,
    grid: [2, 2],
    vocabSize,
    classes,
    dataset: "none",
    tokenizer: "none",
    captions: Array.from({ length: count }, (_, i) => (i === 0 ? [] : ["cat ".repeat(i).trim()])),
    codes: Int32Array.from({ length: count * 4 }, () => random.below(vocabSize)),
    labels: Int32Array.from({ length: count }, (_, i) => i % classes.length),
    train: Int32Array.of(0, 1, 2, 3),
    validation: Int32Array.of(4, 5),
  });
  return join(dir, name);
}

const FEW_STEPS = ["--steps", "2", "--batch-size", "2", "--window-size", "2", "--inputs", "self"];

test("Janus-Pro: one checkpoint of all, prompts in, images out, and TensorAR on top", async () => {
  const config: JanusConfig = {
    language: {
      hidden_size: 16,
      num_hidden_layers: 2,
      num_attention_heads: 2,
      num_key_value_heads: 2,
      intermediate_size: 24,
      vocab_size: 12,
      rms_norm_eps: 1e-6,
      rope_theta: 10000,
    },
    gen_vision: { codebook_size: 16, codebook_embed_dim: 4, grid: 2 },
    image_token_embed: 8,
    pad_id: 2,
  };
  const source = join(dir, "janus repository");
  await mkdir(source);
  await writeSafetensors(join(source, "model.safetensors"), {
    ...randomCheckpoint(janusShapes(config)),
    ...randomCheckpoint(createTokenizer({ kind: "vq", config: VQ }).shapes, "gen_vision_model."),
    ...randomCheckpoint({ "language_model.lm_head.weight": [12, 16], "vision_model.x": [2], "aligner.x": [2] }),
  });
  const out = join(dir, "janus");
  const convert = [
    ...["convert", source, "--from", "janus", "--model", await json("janus.json", config), "--tokenizer", source],
    ...["--tokenizer-model", await json("vq.json", VQ), "--image-size", "4", "--output", out],
  ];
  const incomplete = await runCli(convert);
  expect(incomplete.status).toBe(1);
  expect(incomplete.output).toMatch(/tokenizer\.json can't be copied/);

  const words = ["<bos>", "<unk>", "<pad>", "cat", "dog", "User", "Assistant"];
  const vocab = Object.fromEntries(words.map((word, id) => [word, id]));
  await json("janus repository/tokenizer.json", {
    version: "1.0",
    truncation: null,
    padding: null,
    added_tokens: [],
    normalizer: null,
    post_processor: null,
    pre_tokenizer: { type: "Whitespace" },
    model: { type: "WordLevel", vocab, unk_token: "<unk>" },
    decoder: null,
  });
  await json("janus repository/tokenizer_config.json", { add_bos_token: true, bos_token: "<bos>" });
  await succeed(...convert);

  const prompts = join(dir, "prompts.txt");
  await writeFile(prompts, "cat\n\na dog and a cat, both small\n");
  const sample = [
    "sample",
    "--model",
    out,
    "--tokenizer",
    join(out, "tokenizer"),
    "--num-images",
    "3",
    "--cfg-scale",
    "5",
  ];
  await succeed(...sample, "--prompts", prompts, "--batch-size", "3", "--output", join(dir, "together"));
  await succeed(...sample, "--prompts", prompts, "--batch-size", "1", "--output", join(dir, "alone"));
  const [together, alone] = [await samplesOf("together"), await samplesOf("alone")];
  expect([...together.codes!.data]).toEqual([...alone.codes!.data]); // padding changes nothing
  const wrong = await runCli([...sample, "--classes", "0", "--output", join(dir, "wrong")]);
  expect(wrong.output).toMatch(/--classes: .* is conditioned on prompts; use --prompt or --prompts/);

  const codes = await writeCodes("janus codes", 16, ["a cat", "a dog"]);
  const tuned = join(dir, "janus tensorar");
  await succeed("finetune", "--base", out, "--codes", codes, "--output", tuned, ...FEW_STEPS);
  const refine = ["sample", "--model", tuned, "--tokenizer", join(out, "tokenizer"), "--num-images", "2"];
  await succeed(...refine, "--prompt", "a cat", "--cfg-scale", "5", "--output", join(dir, "refined"));
  expect((await samplesOf("refined")).trace!.shape).toEqual([2, 4, 2]);
});

test("LlamaGen with captions: converted, sampled from and tuned on features", async () => {
  const config: LlamaGenConfig = {
    model_type: "t2i",
    dim: 16,
    n_layer: 2,
    n_head: 2,
    multiple_of: 8,
    vocab_size: 16,
    block_size: 4,
    num_classes: 1,
    cls_token_num: 3,
    class_dropout_prob: 0.1,
    caption_dim: 5,
  };
  const [weights, images] = [join(dir, "t2i.safetensors"), join(dir, "vq.safetensors")];
  await writeSafetensors(weights, randomCheckpoint(llamaGenShapes(config)));
  await writeSafetensors(images, randomCheckpoint(createTokenizer({ kind: "vq", config: VQ }).shapes));
  const out = join(dir, "t2i");
  await succeed(
    ...["convert", weights, "--from", "llamagen", "--model", await json("t2i.json", config), "--tokenizer", images],
    ...["--tokenizer-model", await json("vq.json", VQ), "--image-size", "4", "--output", out],
  );
  const captions = join(dir, "captions.safetensors");
  await writeSafetensors(captions, {
    ...randomCheckpoint({ caption: [6, 3, 5] }),
    mask: {
      dtype: "float32",
      shape: [6, 3],
      data: Float32Array.from({ length: 18 }, (_, i) => (i % 3 < i % 4 ? 1 : 0)),
    },
  });
  const sample = [
    "sample",
    "--model",
    out,
    "--tokenizer",
    join(out, "tokenizer"),
    "--num-images",
    "3",
    "--cfg-scale",
    "7.5",
  ];
  await succeed(...sample, "--captions", captions, "--output", join(dir, "captioned"));
  expect((await samplesOf("captioned")).codes!.shape).toEqual([3, 4]);
  const missing = await runCli([...sample, "--output", join(dir, "wrong")]);
  expect(missing.output).toContain("give --prompt, or --prompts with a file of lines");
  const codes = await writeCodes("t2i codes", 16, ["all"]);
  const tune = ["finetune", "--base", out, "--codes", codes, "--captions", captions, ...FEW_STEPS];
  await succeed(...tune, "--output", join(dir, "t2i tensorar"));
});

test("Open-MAGVIT2: settings for each sub-token, and TensorAR on top", async () => {
  const config: Magvit2ArConfig = {
    block_size: 4,
    spatial_n_layer: 2,
    factorized_n_layer: 1,
    n_head: 2,
    dim: 16,
    class_num: 3,
    factorized_bits: [2, 3],
    multiple_of: 8,
  };
  const lfq = { ...OPEN_MAGVIT2_16, ch: 32, ch_mult: [1, 1], num_res_blocks: 1, z_channels: 5 };
  const [weights, images] = [join(dir, "magvit2.safetensors"), join(dir, "lfq.safetensors")];
  await writeSafetensors(weights, {
    ...randomCheckpoint(magvit2ArShapes(config), "transformer."),
    ...randomCheckpoint({ "first_stage_model.encoder.x": [2] }),
  });
  await writeSafetensors(images, randomCheckpoint(createTokenizer({ kind: "magvit2", config: lfq }).shapes));
  const out = join(dir, "magvit2");
  await succeed(
    ...["convert", weights, "--from", "magvit2", "--model", await json("magvit2.json", config), "--tokenizer", images],
    ...["--tokenizer-model", await json("lfq.json", lfq), "--image-size", "4", "--output", out],
  );
  const sample = ["sample", "--tokenizer", join(out, "tokenizer"), "--num-images", "2", "--evaluation-size", "4"];
  await succeed(...sample, "--model", out, "--preset", "open-magvit2-l", "--output", join(dir, "preset"));
  const { settings } = JSON.parse(readFileSync(join(dir, "preset", "manifest.json"), "utf8"));
  expect(settings).toMatchObject({ cfgScale: [1.9, 1.9], temperature: [1.1, 1], topK: [0, 0], topP: [1, 1] });
  const codes = await writeCodes("magvit2 codes", 32, ["0", "1", "2"]);
  const tuned = join(dir, "magvit2 tensorar");
  await succeed("finetune", "--base", out, "--codes", codes, "--output", tuned, ...FEW_STEPS);
  await succeed(...sample, "--model", tuned, "--cfg-scale", "2,1.5", "--output", join(dir, "tuned"));
  for (const code of (await samplesOf("tuned")).codes!.data) expect(code >= 0 && code < 32).toBe(true);
});
