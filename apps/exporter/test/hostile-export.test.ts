import { cpSync, mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { trace } from "@tensorar/onnx";
import { saveModel } from "@tensorar/onnx/node";
import * as tf from "@tensorflow/tfjs-core";
import * as ort from "onnxruntime-node";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { benchExport, exportFolders, readManifest, verifyExport } from "../src/index";
import { openGraph } from "../src/open-graph";
import { eagerBackend } from "../src/runtimes";
import { writeTinyModel, writeTinyTokenizer } from "./tiny-folders";

// Exports come from elsewhere: what their files ask for must not reach beyond their folder.

let dir: string;
const at = (...names: string[]) => join(dir, ...names);
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), "tensorar hostile "));
  await eagerBackend();
  await writeTinyTokenizer(at("tokenizer"));
  await writeTinyModel(at("model"), 2);
  await exportFolders(at("model"), at("tokenizer"), at("export"), { target: "cpu" });
});
afterAll(() => rm(dir, { recursive: true, force: true }));

const CANARY = "mine";
const bench = (folder: string) => benchExport(folder, ort, { threads: 1, batches: [1], runs: 1 });

/** A copy of the export whose manifest is changed. */
function changed(change: (manifest: Record<string, unknown>) => unknown): string {
  const folder = at(`copy ${readdirSync(dir).length}`);
  cpSync(at("export"), folder, { recursive: true });
  const path = join(folder, "config.json");
  const text = change(JSON.parse(readFileSync(path, "utf8")));
  writeFileSync(path, typeof text === "string" ? text : JSON.stringify(text));
  return folder;
}

/** @returns what `verify` and `bench` say; both must refuse the manifest and leave everything as it was */
async function refusal(change: (manifest: Record<string, unknown>) => unknown): Promise<string> {
  const folder = changed(change);
  writeFileSync(at("canary"), CANARY);
  const before = [readdirSync(dir), readdirSync(folder), readdirSync(process.cwd())];
  const messages: string[] = [];
  for (const work of [() => verifyExport(folder, ort, { seed: 1 }), () => bench(folder)]) {
    const error = await work().then(
      () => undefined,
      (reason: Error) => reason,
    );
    expect(error).toMatchObject({ name: "TensorARError", code: "invalid" });
    messages.push(error!.message);
  }
  expect(messages[0]).toBe(messages[1]);
  expect(messages[0]).not.toContain("\n");
  expect(readFileSync(at("canary"), "utf8")).toBe(CANARY);
  expect([readdirSync(dir), readdirSync(folder), readdirSync(process.cwd())]).toEqual(before);
  await rm(folder, { recursive: true });
  return messages[0]!;
}

const cpu = { executionProviders: ["cpu"], graphOptimizationLevel: "all" };
const withSession = (session: object) => (manifest: Record<string, unknown>) => ({
  ...manifest,
  sessions: { "decoder.onnx": session, "image-decoder.onnx": cpu },
});

describe("session options", () => {
  test.each([
    "optimizedModelFilePath",
    "optimizedModelFormat",
    "profileFilePrefix",
    "enableProfiling",
    "logId",
    "logVerbosityLevel",
    "intraOpNumThreads",
    "freeDimensionOverrides",
    "preferredOutputLocation",
    "externalData",
    "extra",
  ])("%s is none that an export may set", async (option) => {
    for (const value of [at("canary"), true, 1, { session: { "ep.context_file_path": at("canary") } }])
      expect(await refusal(withSession({ ...cpu, [option]: value }))).toMatch(
        new RegExp(`config\\.json: not a folder .*: sessions\\["decoder\\.onnx"\\]: Unrecognized key: "${option}"$`),
      );
  });

  test.each([
    ["a cache elsewhere", { name: "tensorrt", trt_engine_cache_path: "/tmp" }],
    ["a library to load", { name: "tensorrt", trt_extra_plugin_lib_paths: "/tmp/evil.so" }],
    ["another provider's library", { name: "qnn", backendPath: "/tmp/evil.so" }],
    ["an option of another type", { name: "tensorrt", trt_fp16_enable: "yes" }],
    ["options of a provider that has none", { name: "cpu", useArena: true }],
    ["a file in shapes", { name: "tensorrt", trt_profile_min_shapes: "../../x" }],
    ["nothing", null],
    ["a list", ["cpu"]],
    ["an unknown name", "openvino"],
  ])("of a provider: %s", async (_, provider) => {
    expect(await refusal(withSession({ ...cpu, executionProviders: [provider, "cpu"] }))).toMatch(
      /sessions\["decoder\.onnx"\]\.executionProviders\[0\].*: (not an execution provider with options that an export may set|Unrecognized key: "trt_\w+"|not a list of NAME:SIZExSIZE)$/,
    );
  });

  test("of other types, under other names, or none at all", async () => {
    expect(await refusal(withSession({ ...cpu, executionProviders: [] }))).toContain("executionProviders");
    expect(await refusal(withSession({ ...cpu, enableMemPattern: "no" }))).toContain('enableMemPattern = "no"');
    expect(await refusal(withSession({ ...cpu, graphOptimizationLevel: "layout" }))).toContain('= "layout"');
    expect(await refusal((manifest) => ({ ...manifest, sessions: { "../decoder.onnx": cpu } }))).toContain("sessions");
    const prototype = `{"executionProviders":["cpu"],"graphOptimizationLevel":"all","__proto__":{"logId":"x"}}`;
    const text = (manifest: object) => JSON.stringify({ ...manifest, sessions: { "decoder.onnx": "HERE" } });
    expect(await refusal((manifest) => text(manifest).replace('"HERE"', prototype))).toContain("__proto__");
  });

  test("that the exporter writes are taken, for every target", async () => {
    for (const target of ["cuda", "tensorrt", "webgpu", "directml", "coreml"] as const) {
      const out = at(`for ${target}`);
      const { sessions } = await exportFolders(at("model"), at("tokenizer"), out, { target, weights: "float16" });
      expect((await readManifest(out)).sessions).toEqual(sessions);
    }
  });
});

test("graphs of other names, sources on other machines, and sizes that do not fit are refused", async () => {
  expect(
    await refusal((manifest) => ({ ...manifest, files: { ...(manifest.files as object), "../x.onnx": {} } })),
  ).toMatch(/files: Unrecognized key: "\.\.\/x\.onnx"$/);
  for (const path of ["//server/share", "\\\\server\\share"])
    expect(await refusal((manifest) => ({ ...manifest, model: path }))).toMatch(
      /model = .*a folder of another machine$/,
    );
  expect(await refusal((manifest) => ({ ...manifest, tokens: 9e15 }))).toMatch(
    /tokens = 9000000000000000: not the 4 x 4/,
  );
  const cache = { layers: 1e6, heads: 1e6, headDim: 1e6 };
  expect(await refusal((manifest) => ({ ...manifest, cache }))).toMatch(/cache: .* are the most/);
  expect(await refusal((manifest) => ({ ...manifest, imageSize: 1e9 }))).toMatch(/imageSize = 1000000000: at most/);
});

describe("weights beside a graph", () => {
  const LONG = "w".repeat(200); // so that a path of this length can lead anywhere

  /** A folder with a graph that takes its weights from `location`. */
  async function graphWith(location: (folder: string) => string): Promise<string> {
    const folder = at(`graph ${readdirSync(dir).length}`);
    mkdirSync(folder);
    const w = tf.ones([64, 64]);
    const inputs = { x: { dtype: "float32", shape: [1, 64] } } as const;
    const model = trace(({ x }: { x: tf.Tensor }) => ({ y: tf.matMul(x, w) }), inputs, { weights: { w } });
    w.dispose();
    await saveModel(model, join(folder, LONG), { externalDataThreshold: 1 });
    const name = readdirSync(folder).find((each) => each !== LONG)!;
    const whole = join(folder, name);
    for (const copy of [at("outside.data"), join(folder, "inside.data")]) cpSync(whole, copy);
    await rm(whole);
    const path = location(folder);
    const padded = path.replace("/", "/".repeat(1 + name.length - path.length));
    const bytes = readFileSync(join(folder, LONG)).toString("latin1");
    expect(bytes.split(name)).toHaveLength(2);
    writeFileSync(join(folder, "decoder.onnx"), Buffer.from(bytes.replace(name, padded), "latin1"));
    return folder;
  }

  const result = async (folder: string): Promise<number> => {
    const graph = await openGraph(folder, "decoder.onnx", ort, {});
    try {
      const x = { dtype: "float32", shape: [1, 64], data: new Float32Array(64).fill(1) } as const;
      return ((await graph.run({ x })).y as { data: Float32Array }).data[0]!;
    } finally {
      await graph.dispose();
    }
  };

  test("are read from its folder", async () => {
    expect(await result(await graphWith(() => "./inside.data"))).toBe(64);
  });

  test.each([
    ["above", () => "../outside.data"],
    ["at an absolute path", () => at("outside.data")],
    ["above by a way through a folder", (folder: string) => `./x/../../${basename(folder)}/../outside.data`],
    [
      "above by a link",
      (folder: string) => {
        symlinkSync(at("outside.data"), join(folder, "link.data"));
        return "./link.data";
      },
    ],
  ])("are not read from %s", async (_, location) => {
    await expect(result(await graphWith(location))).rejects.toMatchObject({ name: "TensorARError" });
  });
});
