import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as ort from "onnxruntime-node";
import { afterAll, beforeAll, expect, test } from "vitest";
import { benchExport, exportFolders, verifyExport } from "../src/index";
import { eagerBackend } from "../src/runtimes";
import { runCli } from "./run-cli";
import { writeTinyModel, writeTinyTokenizer } from "./tiny-folders";

let dir: string;
const at = (...names: string[]) => join(dir, ...names);

beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), "tensorar bad "));
  await eagerBackend();
  await writeTinyTokenizer(at("tokenizer"));
  await writeTinyModel(at("model"), 2);
});
afterAll(() => rm(dir, { recursive: true, force: true }));

/** What a refused command says: words for the user, without a stack. */
async function refused(...args: string[]): Promise<string> {
  const { status, stdout, stderr } = await runCli(...args);
  expect(status, stdout + stderr).toBe(1);
  expect(stderr).toMatch(/^error: /);
  expect(stderr).not.toMatch(/\n\s+at /);
  return stderr;
}

/** The message of the error for bad input, which the command prints without a stack. */
async function messageOf(work: Promise<unknown>): Promise<string> {
  const error = await work.then(
    () => undefined,
    (reason: Error) => reason,
  );
  expect(error).toMatchObject({ name: "TensorARError" });
  return error!.message;
}

async function exportRefused({ model = at("model"), tokenizer = at("tokenizer"), out = at("out") } = {}) {
  const message = await messageOf(exportFolders(model, tokenizer, out));
  expect(existsSync(at("out"))).toBe(false);
  return message;
}

test("a folder that is not there, or is no export", async () => {
  const missing = at("missing");
  const message = await refused("export", "--model", missing, "--tokenizer", at("tokenizer"), "--output", at("out"));
  expect(message).toContain(`${join(missing, "config.json")}: there is no such file`);
  expect(await exportRefused({ tokenizer: missing })).toContain("expected a tokenizer folder");
  const expected = "expected a folder written by `tensorar-exporter export`";
  expect(await refused("bench", missing)).toContain(expected);
  expect(await messageOf(verifyExport(missing, ort, { seed: 1 }))).toContain(expected);
  expect(await messageOf(benchExport(at("model"), ort, { threads: 1, batches: [1], runs: 1 }))).toContain(
    `${at("model", "config.json")}: not a folder written by \`tensorar-exporter export\``,
  );
});

test("weights that are cut off", async () => {
  await writeTinyModel(at("cut"), 2);
  const weights = at("cut", "model.safetensors");
  const whole = readFileSync(weights);
  writeFileSync(weights, whole.subarray(0, whole.length - 10));
  expect(await exportRefused({ model: at("cut") })).toContain(weights);
});

test("another architecture, and weights of another model", async () => {
  await writeTinyModel(at("other"), 2);
  const path = at("other", "config.json");
  const config = JSON.parse(readFileSync(path, "utf8"));
  writeFileSync(path, JSON.stringify({ ...config, kind: "diffusion" }));
  expect(await exportRefused({ model: at("other") })).toMatch(/config\.json: not a model folder[\s\S]*llamagen/);
  writeFileSync(path, JSON.stringify({ ...config, kind: "rar" }));
  expect(await exportRefused({ model: at("other") })).toMatch(/config\.json: rar: hidden_size = undefined/);
  writeFileSync(path, JSON.stringify({ ...config, backbone: { ...config.backbone, model_type: "i2i" } }));
  expect(await exportRefused({ model: at("other") })).toContain('model_type "i2i" is unknown; use "c2i" or "t2i"');
  writeFileSync(path, JSON.stringify({ ...config, backbone: { ...config.backbone, dim: 64 } }));
  const message = await exportRefused({ model: at("other") });
  expect(message).toContain(at("other", "model.safetensors"));
  expect(message).toContain("the config asks for");
});

test("a tokenizer of another codebook or grid", async () => {
  await writeTinyTokenizer(at("other codes"), { codebook_size: 12 });
  expect(await exportRefused({ tokenizer: at("other codes") })).toMatch(
    /predicts a grid of 4 x 4 with 11 codes, .* 4 x 4 with 12; give the tokenizer that it was trained with/,
  );
  await writeTinyTokenizer(at("other grid"), { encoder_ch_mult: [1, 1, 1], decoder_ch_mult: [1, 1, 1] });
  expect(await exportRefused({ tokenizer: at("other grid") })).toMatch(/decodes one of 2 x 2 with 11/);
});

test("an output that exists is left as it was", async () => {
  const out = at("existing");
  mkdirSync(out);
  writeFileSync(join(out, "mine.txt"), "mine");
  expect(await exportRefused({ out })).toContain(`"${out}" holds "mine.txt", which is nothing that belongs here`);
  expect(readdirSync(out)).toEqual(["mine.txt"]);
  expect(await exportRefused({ out: join(out, "mine.txt", "export") })).toContain(join(out, "mine.txt"));
});

test("flags that are unknown, missing or make no sense", async () => {
  const [unknown, missing, batch, seed, command] = await Promise.all([
    refused("bench", at("model"), "--bathc", "1"),
    refused("export", "--model", at("model")),
    refused("bench", at("model"), "--batch", "0"),
    refused("verify", at("model"), "--seed", "x"),
    refused("verfiy"),
  ]);
  expect(unknown).toContain("unknown flag --bathc; did you mean --batch?");
  expect(missing).toContain("missing required --tokenizer, --output");
  expect(batch).toContain('--batch "0": must be a whole number from 1 to 65536');
  expect(seed).toContain('--seed "x": must be a whole number from 0 to 2147483647');
  expect(command).toContain('unknown command "verfiy"; did you mean verify?');
});

const mounted = await (async () => {
  const path = await mkdtemp(join(tmpdir(), "tensorar-full-"));
  if (spawnSync("mount", ["-t", "tmpfs", "-o", "size=64k", "tmpfs", path]).status === 0) return path;
  await rm(path, { recursive: true });
  return undefined;
})();
afterAll(async () => {
  if (mounted === undefined) return;
  spawnSync("umount", [mounted]);
  await rm(mounted, { recursive: true });
});

const needsMount = mounted === undefined ? " (skipped: only root may mount a small file system)" : "";
test.skipIf(mounted === undefined)(`a full disk leaves nothing behind${needsMount}`, async () => {
  const out = join(mounted!, "export");
  expect(await exportRefused({ out })).toMatch(
    /cannot write ".*export\/.*\.onnx": ENOSPC.*the disk is full; free space/,
  );
  expect(readdirSync(mounted!)).toEqual([]);
});
