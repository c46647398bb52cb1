import { existsSync, readFileSync } from "node:fs";
import { mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { castTensor, toFloat32 } from "@tensorar/checkpoint";
import { openCheckpoint, readSafetensors, writeSafetensors } from "@tensorar/checkpoint/node";
import { initRar, llamaGen, type RarConfig } from "@tensorar/model";
import { loadModel } from "@tensorar/model/node";
import { referenceFolder, requireCases } from "@tensorar/testing";
import { initTokenizer, MASKGIT_VQGAN_16, type MaskgitConfig } from "@tensorar/tokenizer";
import { loadTokenizer } from "@tensorar/tokenizer/node";
import "@tensorflow/tfjs";
import { hostParams } from "@tensorar/training";
import * as tf from "@tensorflow/tfjs-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { command } from "../src/commands/convert";
import { convertCommand } from "../src/declarations/convert";
import { runCli } from "./run-cli";

// Checkpoints that PyTorch wrote, of models with the configurations that stand beside them.
const folder = join(referenceFolder, "checkpoints");
const index = join(folder, "checkpoints.json");
const described = existsSync(index) ? JSON.parse(readFileSync(index, "utf8")) : undefined;
requireCases("checkpoints", described ? [described] : []);

let dir: string;
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), "tensorar convert "));
});
afterAll(() => rm(dir, { recursive: true, force: true }));

async function refused(...args: string[]): Promise<string> {
  const { status, output } = await runCli(["convert", ...args]);
  expect(status, output).toBe(1);
  expect(output).not.toMatch(/\n\s+at /); // no stack
  return output;
}

/** Files that hold every parameter of one of the two models. */
async function complete(shapes: Record<string, readonly number[]>): Promise<string[]> {
  const files = Object.keys(described.files).filter((file) => described.files[file].refuse === undefined);
  const found: string[] = [];
  for (const file of files) {
    const opened = await openCheckpoint(join(folder, file)).catch(() => undefined); // plain objects are tested elsewhere
    if (opened && Object.keys(shapes).every((name) => opened.names.includes(name))) found.push(file);
    await opened?.close();
  }
  return found;
}

describe.runIf(described)("checkpoints of LlamaGen", () => {
  test("become folders that load, whatever the format, with their values", async () => {
    const config = join(dir, "gpt.json");
    await writeFile(config, JSON.stringify(described.gpt_config));
    const files = await complete(llamaGen(described.gpt_config).shapes as Record<string, number[]>);
    expect(files.length).toBeGreaterThan(3);
    for (const file of files.slice(0, 3)) {
      const out = join(dir, file);
      const { status, output } = await runCli([
        "convert",
        "--from",
        "llamagen",
        "--model",
        config,
        join(folder, file),
        "--image-size",
        "256",
        "--output",
        out,
      ]);
      expect(status, output).toBe(0);
      const model = await loadModel(out);
      const source = await openCheckpoint(join(folder, file));
      for (const [name, { data }] of Object.entries(model.tensors)) {
        expect([...(data as Float32Array)]).toEqual([...toFloat32(await source.read(name))]);
      }
      await source.close();
    }
  });

  test("a tokenizer goes beside it, in another precision if asked", async () => {
    const config = join(dir, "vq.json");
    const { vq_config, vq_ch, vq_num_res_blocks } = described;
    await writeFile(
      config,
      JSON.stringify({ ...vq_config, codebook_show_usage: false, ch: vq_ch, num_res_blocks: vq_num_res_blocks }),
    );
    const file = Object.keys(described.files).find((name) => described.files[name].layout?.includes("ema"))!;
    const out = join(dir, "with tokenizer");
    const { status, output } = await runCli([
      ...["convert", "--from", "llamagen", "--tokenizer", join(folder, file), "--tokenizer-model", config],
      ...["--image-size", "256", "--precision", "float16", "--output", out],
    ]);
    expect(status, output).toBe(0);
    expect(await readdir(out)).toEqual(["tokenizer"]);
    const { tensors } = await loadTokenizer(join(out, "tokenizer"));
    expect(output).toContain('took the moving average under "ema", as the original does');
    const source = await openCheckpoint(join(folder, file), { root: "ema" });
    for (const [name, { data }] of Object.entries(tensors)) {
      const rounded = castTensor(castTensor(await source.read(name), "float16"), "float32");
      expect([...(data as Float32Array)]).toEqual([...(rounded.data as Float32Array)]);
    }
    await source.close();
  });

  test("a stop ends it with the signal's reason, and nothing is left", async () => {
    const [file] = await complete(llamaGen(described.gpt_config).shapes as Record<string, number[]>);
    const config = join(dir, "stopped.json");
    await writeFile(config, JSON.stringify(described.gpt_config));
    const settings = { from: "llamagen", model: config, checkpoint: join(folder, file!), imageSize: 256 };
    const reason = new DOMException("stopped", "AbortError");
    const work = command.run(
      convertCommand.schema.parse({ ...settings, output: join(dir, "stopped") }),
      AbortSignal.abort(reason),
    );
    await expect(work).rejects.toBe(reason);
    expect((await readdir(dir)).filter((name) => name.startsWith("stopped"))).toEqual(["stopped.json"]);
  });

  test("what is missing, unexpected or of another shape is listed, and nothing is written", async () => {
    const [file] = await complete(llamaGen(described.gpt_config).shapes as Record<string, number[]>);
    const output = await refused(
      ...[
        "--from",
        "llamagen",
        "--model",
        "GPT-B",
        join(folder, file!),
        "--image-size",
        "256",
        "--output",
        join(dir, "no"),
      ],
    );
    expect(output).toContain("is not GPT-B of llamagen");
    expect(output).toMatch(/"tok_embeddings\.weight" \[\d+,\d+\], not \[16384,768\]/);
    expect(output).toMatch(/\d+ missing: "layers\.\d/);
    await expect(readdir(join(dir, "no"))).rejects.toThrow(/ENOENT/);
  });

  test("a hostile pickle is refused by name", async () => {
    const hostile = Object.keys(described.files).find((file) => described.files[file].refuse?.includes("system"))!;
    const output = await refused(
      ...[
        "--from",
        "llamagen",
        "--model",
        "GPT-B",
        join(folder, hostile),
        "--image-size",
        "256",
        "--output",
        join(dir, "h"),
      ],
    );
    expect(output).toContain("system");
  });
});

test("what can't be told from the arguments is asked for", async () => {
  const weights = join(dir, "weights.safetensors");
  await writeSafetensors(weights, { a: { dtype: "float32", shape: [1], data: Float32Array.of(1) } });
  const out = ["--output", join(dir, "out")];
  expect(await refused("--from", "llamagen", "--model", "GPT-B", weights, ...out)).toContain("give --image-size");
  expect(await refused("--from", "llamagen", ...out)).toContain("nothing to convert");
  const unknown = await refused("--from", "llamagen", "--model", "GPT-S", weights, "--image-size", "256", ...out);
  expect(unknown).toContain("choose one of GPT-B, GPT-L");
  const other = await refused("--from", "magvit2", "--tokenizer", weights, "--image-size", "256", ...out);
  expect(other).toMatch(/\d+ missing: ".*1 unexpected: "a" \[1\]/s);
  expect(Object.keys(await readSafetensors(weights))).toEqual(["a"]);
});

test("RAR and its tokenizer: converted, sampled with the guidance of the original", async () => {
  const [model, tokenizer] = [join(dir, "rar.json"), join(dir, "maskgit.json")];
  const config: RarConfig = {
    hidden_size: 16,
    num_hidden_layers: 2,
    num_attention_heads: 2,
    intermediate_size: 32,
    image_seq_len: 4,
    condition_num_classes: 3,
    codebook_size: 7,
  };
  const vq: MaskgitConfig = {
    ...MASKGIT_VQGAN_16,
    channel_mult: [1, 1],
    num_resolutions: 2,
    hidden_channels: 32,
    num_res_blocks: 1,
    z_channels: 8,
    num_embeddings: 7,
    embedding_dim: 8,
    resolution: 4,
  };
  await writeFile(model, JSON.stringify(config));
  await writeFile(tokenizer, JSON.stringify(vq));
  await tf.setBackend("cpu");
  const save = async (name: string, params: Record<string, tf.Tensor>) => {
    await writeSafetensors(join(dir, name), hostParams(params));
    return join(dir, name);
  };
  const weights = await save("rar.safetensors", initRar(config, 1));
  const images = await save("maskgit.safetensors", initTokenizer({ kind: "maskgit", config: vq }, 1));
  const out = join(dir, "rar");
  const converted = await runCli([
    ...["convert", weights, "--from", "rar", "--model", model, "--tokenizer", images, "--tokenizer-model", tokenizer],
    ...["--image-size", "4", "--output", out],
  ]);
  expect(converted.status, converted.output).toBe(0);
  const sampled = await runCli([
    ...[
      "sample",
      "--model",
      out,
      "--tokenizer",
      join(out, "tokenizer"),
      "--num-images",
      "3",
      "--output",
      join(dir, "images"),
    ],
    ...["--guidance", "power-cosine", "--cfg-scale", "4", "--power", "2.75"],
  ]);
  expect(sampled.status, sampled.output).toBe(0);
  const { codes } = await readSafetensors(join(dir, "images", "shards", "00000.safetensors"));
  expect(codes!.shape).toEqual([3, 4]);
  for (const code of codes!.data as Int32Array) expect(code).toBeGreaterThanOrEqual(0);
});
