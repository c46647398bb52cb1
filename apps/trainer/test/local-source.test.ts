import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { type FakeHub, startHub } from "../../../packages/cli/test/fake-hub";
import { localSource } from "../src/conversion/local-source";

/** A hub that holds one repository. */
const files: Record<string, string> = {
  "model.safetensors.index.json": "{}",
  "model-1.safetensors": "weights",
  "pytorch_model.bin": "older weights",
  "tokenizer.json": "{}",
  "README.md": "text",
};

let hub: FakeHub;
let cache: string;
beforeAll(async () => {
  cache = await mkdtemp(join(tmpdir(), "tensorar hub "));
  hub = await startHub(files);
  vi.stubEnv("HF_ENDPOINT", hub.url);
  vi.stubEnv("HF_HUB_CACHE", cache);
  vi.stubEnv("HF_HOME", cache);
});
afterAll(async () => {
  vi.unstubAllEnvs();
  hub.close();
  await rm(cache, { recursive: true, force: true });
});

const { signal } = new AbortController();

test("local paths stay as they are, and none is none", async () => {
  expect(await localSource("a/b.pt", signal)).toBe("a/b.pt");
  expect(await localSource(undefined, signal)).toBeUndefined();
});

test("a file of a repository", async () => {
  const path = (await localSource("hf://some/model/pytorch_model.bin", signal))!;
  expect(await readFile(path, "utf8")).toBe("older weights");
});

test("a repository: safetensors rather than older weights, with what stands beside them", async () => {
  const folder = (await localSource("hf://some/model", signal))!;
  for (const name of ["model-1.safetensors", "model.safetensors.index.json", "tokenizer.json"])
    expect(await readFile(join(folder, name), "utf8"), name).toBe(files[name]);
  expect(hub.asked.some((path) => basename(path) === "README.md")).toBe(false);
});

test("what is not there is said so", async () => {
  await expect(localSource("hf://some/other", signal)).rejects.toThrow(/hf:\/\/some\/other: .*give a local file/s);
  await expect(localSource("hf://some/model/none.pt", signal)).rejects.toThrow(/none\.pt: .*give a local file/s);
  await expect(localSource("hf://some", signal)).rejects.toThrow(/names no repository/);
});

test("a download that is stopped ends with the reason", async () => {
  const stop = AbortSignal.abort(new Error("enough"));
  await expect(localSource("hf://some/model", stop)).rejects.toThrow(/^enough$/);
});
