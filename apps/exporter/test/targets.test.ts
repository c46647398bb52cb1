import { existsSync, statSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as ort from "onnxruntime-node";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { benchExport, exportFolders, readManifest, TARGETS, verifyExport } from "../src/index";
import { eagerBackend } from "../src/runtimes";
import { runCli } from "./run-cli";
import { writeTinyModel, writeTinyTokenizer } from "./tiny-folders";

let dir: string;
const at = (...names: string[]) => join(dir, ...names);
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), "tensorar targets "));
  await eagerBackend();
  await writeTinyTokenizer(at("tokenizer"));
  await writeTinyModel(at("model"), 3);
});
afterAll(() => rm(dir, { recursive: true, force: true }));

test("float16 weights halve the file and change predictions by what rounding them does", async () => {
  const size = (out: string) => statSync(join(out, "decoder.onnx")).size;
  await exportFolders(at("model"), at("tokenizer"), at("float32"));
  await exportFolders(at("model"), at("tokenizer"), at("float16"), { weights: "float16" });
  const comparisons = await verifyExport(at("float16"), ort, { seed: 2 });
  for (const { file, output, maxAbsError, largestValue, agreement } of comparisons) {
    if (file !== "decoder.onnx") continue;
    expect(maxAbsError / largestValue, output).toBeLessThan(0.02); // 2^-11 a weight, over two layers
    expect(maxAbsError, output).toBeGreaterThan(0);
    if (agreement !== null) expect(agreement).toBeGreaterThan(0.9);
  }
  // TensorAR's modules, which are many in so small a model, stay as they are.
  expect(size(at("float16"))).toBeLessThan(0.85 * size(at("float32")));
});

describe.each(TARGETS)("target %s", (target) => {
  test("names providers that ONNX Runtime has, and settings for each graph", async () => {
    const out = at(`for ${target}`);
    await exportFolders(at("model"), at("tokenizer"), out, { target });
    const manifest = await readManifest(out);
    expect(manifest.target).toBe(target);
    expect(Object.keys(manifest.sessions).sort()).toEqual(Object.keys(manifest.files).sort());
    const names = Object.values(manifest.sessions).map(({ executionProviders: [first] }) =>
      typeof first === "string" ? first : (first as { name: string }).name,
    );
    const known: Record<string, string> = { directml: "dml" };
    expect(new Set(names)).toEqual(new Set([known[target] ?? target]));
    // Whatever the target, the graph is the same on the processor at hand.
    const comparisons = await verifyExport(out, ort, { seed: 3, batches: [2], provider: "cpu" });
    expect(comparisons.every(({ withinTolerance }) => withinTolerance)).toBe(true);
  });
});

test("TensorRT's profile covers every input with a free size", async () => {
  const { sessions, files } = await readManifest(at("for tensorrt"));
  const [provider] = sessions["decoder.onnx"]!.executionProviders as unknown as [Record<string, string>];
  const free = files["decoder.onnx"].inputs.filter(({ shape }) => shape.some((size) => typeof size === "string"));
  for (const which of ["min", "opt", "max"]) {
    const shapes = provider[`trt_profile_${which}_shapes`]!.split(",").map((each) => each.split(":"));
    expect(shapes.map(([name]) => name)).toEqual(free.map(({ name }) => name));
    for (const [i, [, sizes]] of shapes.entries()) {
      expect(sizes!.split("x")).toHaveLength(free[i]!.shape.length);
      expect(sizes!.split("x").every((size) => Number(size) >= 1)).toBe(true);
    }
  }
});

test("what the manifest promises is what is run, or refused with the remedy", async () => {
  const missing = process.platform === "darwin" ? "directml" : "coreml";
  const lacks = /can't run on (coreml|dml) here: onnxruntime-node has only cpu, .* --provider cpu$/;
  await expect(verifyExport(at(`for ${missing}`), ort, { seed: 1 })).rejects.toThrow(lacks);
  const options = { threads: 1, batches: [1], runs: 1 };
  await expect(benchExport(at(`for ${missing}`), ort, options)).rejects.toThrow(lacks);
  const folder = at("for cpu");
  await expect(verifyExport(folder, ort, { seed: 1, provider: missing })).rejects.toThrow(lacks);

  const opened: (ort.InferenceSession.SessionOptions | undefined)[] = [];
  const create = (path: string, settings?: ort.InferenceSession.SessionOptions) => {
    opened.push(settings);
    return ort.InferenceSession.create(path, settings);
  };
  await verifyExport(folder, { ...ort, InferenceSession: { create } } as unknown as typeof ort, { seed: 1 });
  const { sessions } = await readManifest(folder);
  expect(opened).toMatchObject(Object.values(sessions));
});

test("weights that a target can't run are refused", async () => {
  const folders = ["--model", at("model"), "--tokenizer", at("tokenizer"), "--output", at("refused")];
  const { status, stderr } = await runCli("export", ...folders, "--weights", "int4", "--target", "tensorrt");
  expect(status).toBe(1);
  expect(stderr).toContain("--weights int4 needs ONNX Runtime's MatMulNBits, which tensorrt does not run");
  expect(existsSync(at("refused"))).toBe(false);
});
