import { readdirSync, readFileSync, statSync } from "node:fs";
import { mkdtemp, rename, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as tf from "@tensorflow/tfjs-core";
import * as ort from "onnxruntime-node";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { exportFolders, readManifest, verifyExport } from "../src/index";
import { eagerBackend } from "../src/runtimes";
import { runCli } from "./run-cli";
import { backbone, writeTinyModel, writeTinyTokenizer } from "./tiny-folders";

let dir: string;
const at = (...names: string[]) => join(dir, ...names);

beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), "tensorar exporter "));
  await writeTinyTokenizer(at("tokenizer"));
  await eagerBackend();
});
afterAll(() => rm(dir, { recursive: true, force: true }));

async function succeed(...args: string[]): Promise<{ stdout: string; stderr: string }> {
  const { status, stdout, stderr } = await runCli(...args);
  expect(status, `${args.join(" ")}\n${stdout}${stderr}`).toBe(0);
  return { stdout, stderr };
}

describe.each([1, 4])("window %i", (windowSize) => {
  const name = `window ${windowSize}`;
  const exported = () => at(`export of ${name}`);

  beforeAll(async () => {
    await writeTinyModel(at(name), windowSize);
    await succeed("export", "--model", at(name), "--tokenizer", at("tokenizer"), "--output", exported());
  });

  test("export writes the graphs and a manifest that names their inputs and outputs", async () => {
    expect(readdirSync(exported()).sort()).toEqual([
      "checksums.txt",
      "config.json",
      "decoder.onnx",
      "image-decoder.onnx",
    ]);
    const { files, ...manifest } = await readManifest(exported());
    expect(manifest).toMatchObject({
      model: `../${name}`,
      tokenizer: "../tokenizer",
      windowSize,
      tokens: backbone.block_size,
      vocabSize: backbone.vocab_size,
      unconditionalClass: backbone.num_classes,
      cache: { layers: backbone.n_layer, heads: backbone.n_kv_head, headDim: backbone.dim / backbone.n_head },
    });
    for (const [file, ports] of Object.entries(files)) {
      const { inputs, outputs } = ports!;
      const session = await ort.InferenceSession.create(join(exported(), file));
      expect(inputs.map((port) => port.name)).toEqual(session.inputNames);
      expect(outputs.map((port) => port.name)).toEqual(session.outputNames);
      await session.release();
    }
  });

  test("verify finds both graphs equal to the eager model, at batch sizes of its user's", async () => {
    const json = at(`${name}.json`);
    const { stdout, stderr } = await succeed("verify", exported(), "--batch", "1", "2", "5", "--json", json);
    expect(stdout).toMatch(/the export equals the eager model: max abs error \d\.\de-\d+ \(seed \d+\)/);
    expect(stderr).toBe("");
    const comparisons: Record<string, unknown>[] = JSON.parse(readFileSync(json, "utf8"));
    const seen = comparisons.map(({ file, output, batch }) => `${file} ${output} ${batch}`).sort();
    const outputs = ["decoder.onnx logits", "decoder.onnx rows", "image-decoder.onnx images"];
    expect(seen).toEqual(outputs.flatMap((output) => [1, 2, 5].map((batch) => `${output} ${batch}`)));
    for (const { maxAbsError, largestValue, withinTolerance } of comparisons) {
      expect(withinTolerance).toBe(true);
      expect(largestValue).toBeGreaterThan(0.1); // no output of zeros, which anything would equal
      expect(maxAbsError).toBeLessThan(1e-4); // float32: about 1e-7 an addition, some hundred of them in a row
    }
  });

  test("bench prints a table and, elsewhere, its progress", async () => {
    const json = at(`${name} timings.json`);
    const { stdout, stderr } = await succeed("bench", exported(), "--batch", "2", "7", "--runs", "3", "--json", json);
    expect(stdout.split("\n")[0]).toMatch(/^graph +batch +median ms +rows a second$/);
    for (const row of [/^decoder\.onnx +2 +\d+\.\d\d +\d+$/m, /^image-decoder\.onnx +7 +\d+\.\d\d +\d+$/m])
      expect(stdout).toMatch(row);
    expect(stderr).toMatch(/bench: 20\/20 .* · image-decoder\.onnx, batch 7/); // 2 graphs, 2 batches, 2 + 3 runs
    const timings: Record<string, number>[] = JSON.parse(readFileSync(json, "utf8"));
    expect(timings).toHaveLength(4);
    for (const { milliseconds } of timings) expect(milliseconds).toBeGreaterThan(0);
  });
});

test("an export and its sources can move together; a model that moved alone must be named", async () => {
  const folder = at("moved");
  await writeTinyTokenizer(join(folder, "tokenizer"));
  await writeTinyModel(join(folder, "model"), 2);
  await exportFolders(join(folder, "model"), join(folder, "tokenizer"), join(folder, "deep", "export"));
  await rename(folder, at("elsewhere"));
  const exported = at("elsewhere", "deep", "export");
  await verifyExport(exported, ort, { seed: 1 });

  await rename(at("elsewhere", "model"), at("renamed"));
  const lost = verifyExport(exported, ort, { seed: 1 });
  await expect(lost).rejects.toThrow(`${at("elsewhere", "model", "config.json")}: there is no such file`);
  await expect(lost).rejects.toThrow("--model");
  const found = await verifyExport(exported, ort, { seed: 1, model: at("renamed") });
  expect(found.every(({ withinTolerance }) => withinTolerance)).toBe(true);
});

test("verify gives the same figures for the same seed, and others for another", async () => {
  const figures = (seed: number) => verifyExport(at("export of window 4"), ort, { seed });
  const once = await figures(7);
  expect(await figures(7)).toEqual(once);
  expect(await figures(8)).not.toEqual(once);
});

test.each([
  { weights: "int8", largest: 0.1, smaller: 0.65 },
  { weights: "int4", largest: 1, smaller: 0.55 },
] as const)(
  "$weights weights make a smaller file that predicts nearly the same",
  async ({ weights, largest, smaller }) => {
    const out = at(`export in ${weights}`);
    const folders = ["--model", at("window 4"), "--tokenizer", at("tokenizer"), "--output", out];
    await succeed("export", ...folders, "--weights", weights);
    const { stdout } = await succeed("verify", out, "--seed", "3");
    expect(stdout).toMatch(/the export equals the eager model with its weights quantized alike: max abs error/);
    const comparisons = await verifyExport(out, ort, { seed: 3 });
    const logits = comparisons.filter(({ output }) => output === "logits");
    expect(logits).toHaveLength(2);
    for (const { loss, largestValue } of logits) {
      expect(loss!.maxAbsError / largestValue).toBeLessThan(largest);
      expect(loss!.sameTop1).toBeGreaterThan(0.5); // of 11 codes, by a model of random weights
    }
    for (const { file, quantized } of comparisons) expect(quantized).toBe(file === "decoder.onnx");
    const size = (folder: string) => statSync(join(folder, "decoder.onnx")).size;
    expect(size(out) / size(at("export of window 4"))).toBeLessThan(smaller);
  },
);

test("a stop ends exporting and verifying with the signal's reason, and nothing is left", async () => {
  const reason = new DOMException("stopped", "AbortError");
  const signal = AbortSignal.abort(reason);
  const before = tf.memory().numTensors;
  const [model, tokenizer, exported] = [at("window 4"), at("tokenizer"), at("export of window 4")];
  await expect(exportFolders(model, tokenizer, at("stopped"), { signal })).rejects.toBe(reason);
  await expect(verifyExport(exported, ort, { seed: 1, signal })).rejects.toBe(reason);
  expect(readdirSync(dir).filter((name) => name.startsWith("stopped"))).toEqual([]);
  expect(tf.memory().numTensors).toBe(before);
});

test("exporting and verifying leave no tensors behind", async () => {
  const before = tf.memory().numTensors;
  await exportFolders(at("window 4"), at("tokenizer"), at("again"));
  await verifyExport(at("again"), ort, { seed: 1 });
  expect(tf.memory().numTensors).toBe(before);
});
