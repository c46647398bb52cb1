import { existsSync, readFileSync, statSync } from "node:fs";
import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as ort from "onnxruntime-node";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { exportFolders, writeTriton } from "../src/index";
import { eagerBackend } from "../src/runtimes";
import { pairs, rar } from "./tiny-families";
import { vq, writeModel, writeTinyModel, writeTinyTokenizer } from "./tiny-folders";

const links = vi.hoisted(() => ({ refused: undefined as string | undefined }));
vi.mock("node:fs/promises", async (original) => {
  const real = await original<typeof import("node:fs/promises")>();
  return {
    ...real,
    link: (...paths: Parameters<typeof real.link>) =>
      links.refused === undefined
        ? real.link(...paths)
        : Promise.reject(Object.assign(new Error("link refused"), { code: links.refused })),
  };
});

let dir: string;
const at = (...names: string[]) => join(dir, ...names);
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), "tensorar triton "));
  await eagerBackend();
  await writeTinyTokenizer(at("tokenizer"));
  await writeTinyTokenizer(at("tokenizer of pairs"), { ...vq, codebook_size: 32 });
  await writeTinyModel(at("classes"), 3);
  await writeModel(at("rar"), 2, "rar", rar);
  await writeModel(at("pairs"), 2, "magvit2", pairs);
  await exportFolders(at("classes"), at("tokenizer"), at("export of classes"), { target: "cuda" });
  await exportFolders(at("rar"), at("tokenizer"), at("export of rar"), { target: "tensorrt" });
  await exportFolders(at("pairs"), at("tokenizer of pairs"), at("export of pairs"));
  const whole = { topK: 0, topP: 1 };
  await exportFolders(at("classes"), at("tokenizer"), at("whole"), { target: "cuda", whole });
  await exportFolders(at("classes"), at("tokenizer"), at("whole for cpu"), { target: "cpu", whole });
});
afterAll(() => rm(dir, { recursive: true, force: true }));

const TYPES: Record<string, string> = { float32: "TYPE_FP32", int32: "TYPE_INT32" };

/** Ports of a Triton configuration: name, type and sizes. */
function portsIn(config: string, kind: "input" | "output") {
  const block = new RegExp(`^${kind} \\[\\n([\\s\\S]*?)^\\]`, "m").exec(config)![1]!;
  const ports = /name: "(.*)"\s+data_type: (\w+)\s+dims: \[ (.*) \](\s+reshape \{ shape: \[ \] \})?/g;
  return [...block.matchAll(ports)].map(([, name, type, dims, reshape]) => ({
    name,
    type,
    dims: reshape === undefined ? dims!.split(", ").map(Number) : [],
  }));
}

/** Holds a model's configuration to what ONNX Runtime finds in its graph, opened from the repository. */
async function expectServed(repository: string, name: string, batched: boolean): Promise<void> {
  const config = readFileSync(join(repository, name, "config.pbtxt"), "utf8");
  expect(config).toContain(`name: "${name}"\nplatform: "onnxruntime_onnx"\nmax_batch_size: ${batched ? 32 : 0}\n`);
  expect(config.includes("dynamic_batching { }")).toBe(batched);
  const session = await ort.InferenceSession.create(join(repository, name, "1", "model.onnx"));
  for (const [kind, metadata] of [
    ["input", session.inputMetadata],
    ["output", session.outputMetadata],
  ] as const) {
    const real = (metadata as ort.InferenceSession.TensorValueMetadata[]).map(({ name, type, shape }) => {
      if (batched) expect(shape[0], name).toBe("batch");
      const sizes = batched ? shape.slice(1) : shape;
      return { name, type: TYPES[type], dims: sizes.map((size) => (typeof size === "string" ? -1 : size)) };
    });
    expect(portsIn(config, kind)).toEqual(real);
  }
  await session.release();
}

test.each([
  ["classes", { decoder: false, image_decoder: true }],
  ["rar", { decoder: false, image_decoder: true }],
  ["pairs", { decoder: false, next_factor: true, image_decoder: true }],
])("steps of %s, each a model that opens from there", async (name, models: Record<string, boolean>) => {
  const repository = at(`steps of ${name}`);
  expect((await writeTriton(at(`export of ${name}`), repository)).sort()).toEqual(Object.keys(models).sort());
  expect((await readdir(repository)).sort()).toEqual(Object.keys(models).sort());
  for (const [model, batched] of Object.entries(models)) await expectServed(repository, model, batched);
  const config = readFileSync(join(repository, "decoder", "config.pbtxt"), "utf8");
  expect(config).toContain(name === "pairs" ? "kind: KIND_CPU" : "kind: KIND_GPU");
  expect(config.includes('name: "tensorrt"')).toBe(name === "rar");
});

test("all of generation is one model, whose requests are batched", async () => {
  const repository = at("whole repository");
  expect(await writeTriton(at("whole"), repository)).toEqual(["generation"]);
  expect(await readdir(repository)).toEqual(["generation"]);
  await expectServed(repository, "generation", true);
});

test("all of generation for the processor opens from there too, from a copy of its weights", async () => {
  const repository = at("cpu repository");
  await writeTriton(at("whole for cpu"), repository);
  await expectServed(repository, "generation", true);
  const paths = [join(repository, "generation", "1"), at("whole for cpu")].map((dir) => join(dir, "decoder.onnx.data"));
  expect(new Set(paths.map((path) => statSync(path).ino)).size).toBe(2);
});

/** Files of weights in a repository of pairs, whose two graphs share theirs. */
async function weightsOfPairs(repository: string) {
  await writeTriton(at("export of pairs"), repository);
  const [data, source] = ["decoder.onnx.data", at("export of pairs", "decoder.onnx.data")];
  const copies = ["decoder", "next_factor"].map((model) => join(repository, model, "1", data));
  expect(existsSync(join(repository, "image_decoder", "1", data))).toBe(false);
  for (const copy of copies) expect(readFileSync(copy).equals(readFileSync(source))).toBe(true);
  return [source, ...copies].map((path) => statSync(path).ino);
}

test("weights are linked, not copied", async () => {
  expect(new Set(await weightsOfPairs(at("linked"))).size).toBe(1);
});

test.each(["EPERM", "EXDEV"])("weights are copied where links are refused with %s", async (code) => {
  links.refused = code;
  try {
    expect(new Set(await weightsOfPairs(at(`copied ${code}`))).size).toBe(3);
  } finally {
    links.refused = undefined;
  }
});

const disk = existsSync("/dev/shm") && statSync("/dev/shm").dev !== statSync(tmpdir()).dev ? "/dev/shm" : undefined;
const needsDisk = disk === undefined ? " (skipped: /dev/shm is no disk of its own)" : "";
test.skipIf(disk === undefined)(`on another disk weights are copied once${needsDisk}`, async () => {
  const folder = await mkdtemp(join(disk!, "tensorar-"));
  try {
    const [, first, second] = await weightsOfPairs(join(folder, "repository"));
    expect(first).toBe(second);
  } finally {
    await rm(folder, { recursive: true });
  }
});

test("a repository that exists is left alone, and a folder that is no export refused", async () => {
  await expect(writeTriton(at("whole"), at("export of rar"))).rejects.toThrow(/exists/);
  await expect(writeTriton(at("classes"), at("none"))).rejects.toThrow(/not a folder written by/);
  links.refused = "EIO";
  await expect(writeTriton(at("whole"), at("broken disk"))).rejects.toThrow(
    /cannot write ".*broken disk": link refused; choose another folder/,
  );
  links.refused = undefined;
  expect(existsSync(at("broken disk"))).toBe(false);
});
