import { createHash } from "node:crypto";
import { mkdir, mkdtemp, readdir, readFile, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import "@tensorflow/tfjs";
import { expectClose } from "@tensorar/testing";
import * as tf from "@tensorflow/tfjs-core";
import * as ort from "onnxruntime-node";
import * as web from "onnxruntime-web";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { compile, openModel, serializeModel, TensorARError, type TensorData, trace } from "../src";
import { saveModel, saveModels } from "../src/node";
import { within } from "./within";

// A few roundings of float32; both engines add in their own order.
const TOLERANCE = 2e-5;

const WIDTH = 32;
const HIDDEN = 48;
let weights: { readonly in: tf.Tensor; readonly out: readonly [tf.Tensor, tf.Tensor] };

/** Two layers and a mean over the batch, which depends on its size. */
const network = ({ x }: { x: tf.Tensor }) => {
  const hidden = tf.relu(tf.matMul(x, weights.in)); // [B, HIDDEN]
  const [matrix, bias] = weights.out;
  const y = tf.add(tf.matMul(hidden, matrix), bias); // [B, WIDTH]
  return { y, centred: tf.sub(y, tf.mean(y, 0)), norms: [tf.sum(tf.square(y)), tf.max(y, 1)] };
};
const INPUTS = { x: { dtype: "float32", shape: ["batch", WIDTH] } } as const;
const model = () => trace(network, INPUTS, { weights, name: "network" });

let folder: string;
let path: string;
beforeAll(async () => {
  await tf.setBackend("cpu");
  weights = {
    in: tf.randomNormal([WIDTH, HIDDEN], 0, 0.2, "float32", 1),
    out: [tf.randomNormal([HIDDEN, WIDTH], 0, 0.2, "float32", 2), tf.randomNormal([WIDTH], 0, 1, "float32", 3)],
  };
  web.env.wasm.numThreads = 1;
});
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "onnx-save-"));
  path = join(folder, "network.onnx");
  return () => rm(folder, { recursive: true });
});
afterAll(() => tf.dispose([weights.in, ...weights.out]));

const input = (batch: number): tf.Tensor => tf.randomNormal([batch, WIDTH], 0, 1, "float32", batch);

/** Runs a file by ONNX Runtime alone and compares every output with tfjs. */
async function check(session: ort.InferenceSession, batch: number): Promise<void> {
  const x = input(batch);
  const results = await session.run({ x: new ort.Tensor("float32", x.dataSync() as Float32Array, x.shape) });
  const expected = tf.tidy(() => network({ x }));
  const flat = {
    y: expected.y,
    centred: expected.centred,
    "norms/0": expected.norms[0]!,
    "norms/1": expected.norms[1]!,
  };
  expect(Object.keys(results).sort()).toEqual(Object.keys(flat).sort());
  for (const [name, tensor] of Object.entries(flat)) {
    expect(results[name]!.dims).toEqual(tensor.shape);
    expectClose(name, results[name]!.data as Float32Array, tensor.dataSync(), within(TOLERANCE));
  }
  tf.dispose([x, expected]);
}

test("a saved file runs in onnxruntime-node at any size of its symbolic dimension", async () => {
  await saveModel(model(), path);
  const session = await ort.InferenceSession.create(path);
  const [{ name, isTensor, ...rest }] = session.inputMetadata as [ort.InferenceSession.TensorValueMetadata];
  expect([name, isTensor, rest.shape]).toEqual(["x", true, ["batch", WIDTH]]);
  for (const batch of [1, 2, 7, 8, 33]) await check(session, batch);
  await session.release();
});

test("openModel gives a file's inputs and outputs the nesting of their names", async () => {
  await saveModel(model(), path);
  const f = await openModel(path, { runtime: ort });
  const x = input(3);
  const result = (await f({ x })) as unknown as { y: TensorData; norms: TensorData[] };
  const expected = network({ x });
  expect(Object.keys(result).sort()).toEqual(["centred", "norms", "y"]);
  expect(Array.isArray(result.norms)).toBe(true);
  expectClose("values", result.norms[1]!.data as Float32Array, expected.norms[1]!.dataSync(), within(TOLERANCE));
  await f.dispose();
});

describe("external data", () => {
  test("weights past the threshold go to a second file, which onnxruntime-node finds", async () => {
    await saveModel(model(), path, { externalDataThreshold: 1000 });
    expect((await readdir(folder)).sort()).toEqual(["network.onnx", "network.onnx.data"]);
    const matrices = 2 * WIDTH * HIDDEN * 4; // bytes; the bias is small and stays in the file
    expect((await stat(`${path}.data`)).size).toBeGreaterThanOrEqual(matrices);
    expect((await stat(path)).size).toBeLessThan(matrices / 2);
    const session = await ort.InferenceSession.create(path);
    for (const batch of [1, 5]) await check(session, batch);
    await session.release();
  });

  test("in several files where one would be too large", async () => {
    await saveModel(model(), path, { externalDataThreshold: 1000, shardBytes: 8000 });
    expect((await readdir(folder)).sort()).toEqual(["network.onnx", "network.onnx.data", "network.onnx.data_1"]);
    for (const name of ["network.onnx.data", "network.onnx.data_1"])
      expect((await stat(join(folder, name))).size).toBe(4 * WIDTH * HIDDEN);
    const session = await ort.InferenceSession.create(path);
    await check(session, 3);
    await session.release();
  });

  test("a stop leaves what was there, and nothing else", async () => {
    await saveModel(model(), path);
    const before = await readFile(path);
    const reason = new DOMException("stopped", "AbortError");
    const signal = AbortSignal.abort(reason);
    await expect(saveModel(model(), path, { signal })).rejects.toBe(reason);
    await expect(saveModel(model(), path, { signal, externalDataThreshold: 1000 })).rejects.toBe(reason);
    expect((await readFile(path)).equals(before)).toBe(true);
    expect(await readdir(folder)).toEqual(["network.onnx"]);
  });

  test("several graphs share equal weights", async () => {
    const other = trace(({ x }: { x: tf.Tensor }) => ({ hidden: tf.matMul(x, weights.in) }), INPUTS, { weights });
    await saveModels({ [path]: model(), [join(folder, "other.onnx")]: other }, join(folder, "weights.data"));
    expect((await readdir(folder)).sort()).toEqual(["network.onnx", "other.onnx", "weights.data"]);
    expect((await stat(join(folder, "weights.data"))).size).toBeLessThan(3 * 4 * WIDTH * HIDDEN);
    const session = await ort.InferenceSession.create(path);
    await check(session, 3);
    await session.release();
    const f = await openModel(join(folder, "other.onnx"), { runtime: ort });
    const x = input(2);
    const [result] = Object.values(await f({ x })) as unknown as TensorData[];
    expectClose("values", result!.data as Float32Array, tf.matMul(x, weights.in).dataSync(), within(TOLERANCE));
    await f.dispose();
  });

  test("up to the threshold everything is in one file, the bytes of serializeModel", async () => {
    const total = serializeModel(model()).length;
    await saveModel(model(), path, { externalDataThreshold: total });
    expect(await readdir(folder)).toEqual(["network.onnx"]);
    expect(Buffer.compare(await readFile(path), serializeModel(model()))).toBe(0);
    await saveModel(model(), path, { externalDataThreshold: total - 1 });
    expect(await readdir(folder)).toContain("network.onnx.data");
  });
});

test("a save that fails leaves the file that was there, and nothing else", async () => {
  await saveModel(model(), path);
  const digest = async () =>
    createHash("sha256")
      .update(await readFile(path))
      .digest("hex");
  const before = await digest();
  const broken = { ...model(), inputs: [] }; // no port for the graph's input: writing the graph throws
  await expect(saveModel(broken, path)).rejects.toThrow();
  await mkdir(join(folder, "taken.onnx"));
  const taken: unknown = await saveModel(model(), join(folder, "taken.onnx")).catch((error) => error);
  expect(taken).toBeInstanceOf(TensorARError);
  expect(taken).toMatchObject({ code: "io", message: expect.stringMatching(/cannot write ".*taken.onnx": E[A-Z]+/) });
  expect(await digest()).toBe(before);
  expect((await readdir(folder)).sort()).toEqual(["network.onnx", "taken.onnx"]);
});

test("while a file is replaced, readers see the old one or the new", async () => {
  const large = trace(() => tf.add(weights.in, 1), {}, { name: "other" });
  const sizes = new Set([serializeModel(model()).length, serializeModel(large).length]);
  await saveModel(model(), path);
  const saves = (async () => {
    for (let i = 0; i < 10; i++) await saveModel(i % 2 ? model() : large, path);
  })();
  let saving = true;
  void saves.then(() => {
    saving = false;
  });
  for (let reads = 0; saving || reads === 0; reads++) expect(sizes).toContain((await readFile(path)).length);
  await saves;
});

describe("weights", () => {
  const metadataOf = async (bytes: Uint8Array) => {
    const session = await ort.InferenceSession.create(bytes);
    await session.release();
    return session.inputNames;
  };

  test("captured tensors are initializers under the names given", async () => {
    const bytes = serializeModel(model());
    expect(await metadataOf(bytes)).toEqual(["x"]);
    const text = Buffer.from(bytes).toString("latin1");
    for (const name of ["in", "out/0", "out/1"]) expect(text).toContain(name);
    expect(Buffer.from(serializeModel(trace(network, INPUTS))).toString("latin1")).toContain("captured/0");
  });

  test("as inputs they can change between calls", async () => {
    const layer = ({ x, w }: { x: tf.Tensor; w: tf.Tensor }) => tf.matMul(x, w);
    const specs = { x: INPUTS.x, w: weights.in };
    const f = await compile(layer, specs, { runtime: ort });
    expect(f.inputs.map(({ name }) => name)).toEqual(["x", "w"]);
    const x = input(2);
    for (const w of [weights.in, tf.neg(weights.in)]) {
      expectClose("values", (await f({ x, w })).data as Float32Array, tf.matMul(x, w).dataSync(), within(TOLERANCE));
    }
    await f.dispose();
  });
});

test("onnxruntime-web (wasm) runs the same file", async () => {
  await saveModel(model(), path);
  const f = await openModel(new Uint8Array(await readFile(path)), { runtime: web, providers: ["wasm"] });
  for (const batch of [1, 6]) {
    const x = input(batch);
    const result = (await f({ x })) as unknown as { centred: TensorData };
    expectClose("values", result.centred.data as Float32Array, network({ x }).centred.dataSync(), within(TOLERANCE));
  }
  await f.dispose();
});
