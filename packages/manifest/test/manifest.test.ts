import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { type ExportManifest, fetchManifest, parseManifest } from "../src";
import { readManifest } from "../src/node";

const graph = { inputs: [{ name: "codes", dtype: "int32", shape: ["batch", 4] }], outputs: [] };
const valid = {
  kind: "tensorar-export",
  model: "../model",
  tokenizer: "../tokenizer",
  windowSize: 2,
  tokens: 4,
  vocabSize: 7,
  unconditionalClass: 2,
  conditionPositions: 1,
  stateWidth: 8,
  cache: { layers: 1, heads: 2, headDim: 4 },
  grid: [2, 2],
  condition: { condition: { dtype: "int32", shape: [], below: 3 } },
  imageSize: 8,
  classes: ["a", "b"],
  noiseRates: [0, 0.5],
  files: { "decoder.onnx": graph, "image-decoder.onnx": graph },
};
const text = JSON.stringify(valid);

test("text, bytes, files and responses give the same manifest, with defaults", async () => {
  const manifest: ExportManifest = parseManifest(text, "here");
  expect(manifest).toEqual({ ...valid, target: "cpu", weights: "float32", sessions: {} });
  expect(parseManifest(new TextEncoder().encode(`\ufeff${text}`), "here")).toEqual(manifest);
  const dir = await mkdtemp(join(tmpdir(), "manifest-"));
  onTestFinished(() => rm(dir, { recursive: true }));
  await writeFile(join(dir, "config.json"), text);
  expect(await readManifest(dir)).toEqual(manifest);
  const asked: string[] = [];
  const fetch = async (url: unknown) => {
    asked.push(String(url));
    return new Response(text);
  };
  expect(await fetchManifest("https://host/export/", { fetch })).toEqual(manifest);
  expect(await fetchManifest(new URL("https://host/export"), { fetch })).toEqual(manifest);
  expect(asked).toEqual(["https://host/export/config.json", "https://host/export/config.json"]);
});

test("names of earlier exports are read", () => {
  const { unconditionalClass: nullCondition, conditionPositions: conditionSlots, ...rest } = valid;
  const earlier = parseManifest(JSON.stringify({ ...rest, nullCondition, conditionSlots }), "here");
  expect(earlier).toEqual(parseManifest(JSON.stringify(valid), "here"));
});

test.each([
  [{ ...valid, windowSize: 0 }, /here: not a folder written by `tensorar-exporter export`: .*windowSize/],
  [{ ...valid, tokens: 5 }, /not the 2 x 2 tokens of "grid"/],
  [{ ...valid, kind: "llamagen" }, /kind/],
  [{ ...valid, extra: 1 }, /extra/],
  [
    { ...valid, sessions: { "decoder.onnx": { executionProviders: ["cpu"], profileFilePrefix: "/etc/x" } } },
    /sessions/,
  ],
])("%#: what is not right is named", (value, message) => {
  expect(() => parseManifest(JSON.stringify(value), "here")).toThrow(message);
});

test("what a server gives instead is said", async () => {
  const giving = (body: string | null, status: number) => ({ fetch: async () => new Response(body, { status }) });
  const url = "https://host/x";
  await expect(fetchManifest(url, giving(null, 404))).rejects.toThrow(`${url}/config.json: the server answers 404`);
  await expect(fetchManifest(url, giving("<!doctype html>", 200))).rejects.toThrow(/not valid JSON: it is a web page/);
  const down = { fetch: () => Promise.reject(new TypeError("fetch failed")) };
  await expect(fetchManifest(url, down)).rejects.toThrow(`${url}/config.json: fetch failed; check the address`);
  const signal = AbortSignal.abort();
  await expect(fetchManifest(url, { signal })).rejects.toBe(signal.reason);
});
