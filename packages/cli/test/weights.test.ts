import { mkdir, mkdtemp, readFile, realpath, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, beforeEach, expect, test, vi } from "vitest";
import { z } from "zod";
import { weights, withWeights } from "../src/weights";
import { type FakeHub, startHub } from "./fake-hub";

const schema = z.strictObject({
  model: weights().describe("a model"),
  tokenizer: weights("tokenizer").optional().describe("a tokenizer"),
  name: z.string().optional(),
});
const files: Record<string, string> = {
  "README.md": "text",
  "tensorar/config.json": "{}",
  "tensorar/model.safetensors": "numbers",
  "tensorar/checkpoints/1.safetensors": "a checkpoint",
  "base/config.json": '{"base": true}',
  "tokenizer/config.json": '{"tokenizer": true}',
};
const { signal } = new AbortController();

let root: string;
let hub: FakeHub;
beforeAll(async () => {
  root = await realpath(await mkdtemp(join(tmpdir(), "tensorar weights ")));
  hub = await startHub(files);
  vi.stubEnv("HF_ENDPOINT", hub.url);
  vi.stubEnv("HF_HUB_CACHE", root);
  const installed = join(root, "node_modules/@tensorar/weights-toys");
  for (const part of ["tensorar", "tokenizer", "small"]) await mkdir(join(installed, part), { recursive: true });
  await writeFile(join(installed, "package.json"), "{}");
  vi.spyOn(process, "cwd").mockReturnValue(root);
});
beforeEach(() => vi.spyOn(console, "error").mockImplementation(() => {}));
afterAll(async () => {
  vi.restoreAllMocks();
  vi.unstubAllEnvs();
  hub.close();
  await rm(root, { recursive: true, force: true });
});

const found = (settings: Record<string, unknown>) => withWeights(schema, settings, signal);

test("names of installed weights become folders, of a model and of a tokenizer", async () => {
  const at = (part: string) => join(root, "node_modules/@tensorar/weights-toys", part);
  expect(await found({ model: "toys", tokenizer: "toys", name: "toys" })).toEqual({
    model: at("tensorar"),
    tokenizer: at("tokenizer"),
    name: "toys",
  });
  expect(await found({ model: "toys/small" })).toEqual({ model: at("small") });
  expect(await found({ model: "runs/../x" })).toEqual({ model: "runs/../x" });
});

test("a repository is downloaded: a part of it and the tokenizer beside it, nothing else", async () => {
  const { model, tokenizer } = await found({ model: "hf://some/model", tokenizer: "hf://some/model" });
  expect(await readFile(join(String(model), "model.safetensors"), "utf8")).toBe("numbers");
  expect(await readFile(join(String(model), "../tokenizer/config.json"), "utf8")).toBe('{"tokenizer": true}');
  expect(await readFile(join(String(tokenizer), "config.json"), "utf8")).toBe('{"tokenizer": true}');
  const { model: base } = await found({ model: "hf://some/model/base/" });
  expect(await readFile(join(String(base), "config.json"), "utf8")).toBe('{"base": true}');
  expect(hub.asked.filter((path) => /README|checkpoints/.test(path))).toEqual([]);
});

test("what is not there is said so", async () => {
  await expect(found({ model: "hf://some/other" })).rejects.toThrow(/hf:\/\/some\/other: .*give a local folder/s);
  await expect(found({ model: "hf://some/model/none" })).rejects.toThrow(/it holds no none\/config\.json, only README/);
  await expect(found({ model: "hf://some" })).rejects.toThrow(/names no repository/);
  await expect(found({ model: "toys/none" })).rejects.toThrow(/has no folder "none"/);
  const stopped = withWeights(schema, { model: "hf://some/model" }, AbortSignal.abort(new Error("stopped")));
  await expect(stopped).rejects.toThrow("stopped");
});
