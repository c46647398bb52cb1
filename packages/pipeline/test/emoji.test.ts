import "@tensorflow/tfjs";
import { openAsBlob } from "node:fs";
import { cp, mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { loadModel } from "@tensorar/model/node";
import { classLabels, generate } from "@tensorar/sampler";
import { chooseEngine } from "@tensorar/training";
import * as tf from "@tensorflow/tfjs-core";
import { decode as decodePng } from "fast-png";
import * as ort from "onnxruntime-node";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { exportFolders } from "../../../apps/exporter/src/export";
import { openDecoder } from "../../../apps/trainer/src/decoder-runner";
import * as browser from "../src/index";
import { TensorAR } from "../src/node";
import { tracing } from "../src/tracing";
import { served } from "./served";

const WEIGHTS = fileURLToPath(new URL("../../weights-emoji", import.meta.url));
const model = join(WEIGHTS, "tensorar");
let dir: string;
let exported: string;

/** What is asked for, everywhere below. */
const asked = { class: ["noto/food-drink", 4], count: 3, seed: 11, scale: 2, topK: 100 } as const;
let expected: { codes: number[]; trace: number[] };

beforeAll(async () => {
  await tf.setBackend("cpu");
  dir = await mkdtemp(join(tmpdir(), "pipeline-"));
  exported = join(dir, "export");
  await exportFolders(model, join(WEIGHTS, "tokenizer"), exported);

  // As `tensorar sample` does it.
  const folder = await loadModel(model);
  const conditioning = classLabels(folder.model.backbone.unconditionalClass);
  const { decoder, dispose } = await openDecoder(folder, conditioning, await chooseEngine("onnx", { threads: 1 }));
  const first = folder.classes.indexOf("noto/food-drink");
  const { class: _, count: __, scale, ...settings } = asked;
  const guidance = { kind: "constant", scale } as const;
  for await (const { position, codes, trace } of generate(decoder, {
    ...settings,
    guidance,
    conditions: [first, 4, first],
    trace: true,
  }))
    if (position === 63) expected = { codes: [...codes], trace: [...trace] };
  await dispose();
});
afterAll(() => rm(dir, { recursive: true }));

async function check(loaded: browser.LoadedModel): Promise<browser.RgbaImage[]> {
  const { images, codes, trace } = await loaded.generate(asked);
  expect([...codes]).toEqual(expected.codes);
  expect([...trace]).toEqual(expected.trace);
  expect(images.map(({ width, height, data }) => [width, height, data.length])).toEqual(
    Array(3).fill([32, 32, 32 * 32 * 4]),
  );
  await loaded.dispose();
  await expect(loaded.generate(asked)).rejects.toThrow(/disposed/);
  return images;
}

/** Bytes of two engines' pictures differ by rounding alone. */
function expectSame(images: readonly browser.RgbaImage[], others: readonly browser.RgbaImage[]): void {
  for (const [i, { data }] of images.entries()) {
    const differences = data.map((byte, at) => Math.abs(byte - others[i]!.data[at]!));
    expect(Math.max(...differences)).toBeLessThanOrEqual(1);
  }
}

let traced: browser.RgbaImage[];

test("a model folder, traced: the codes of `tensorar sample`", async () => {
  traced = await check(await TensorAR.load(model));
  const [image] = traced;
  expect(new Set(image!.data).size).toBeGreaterThan(20); // a picture, not one colour
  expect(image!.data.filter((_, i) => i % 4 === 3).every((alpha) => alpha === 255)).toBe(true);
  const { width, height, channels, data } = decodePng(image!.toPNG());
  expect([width, height, channels]).toEqual([32, 32, 3]);
  expect([...data]).toEqual([...image!.data.filter((_, i) => i % 4 !== 3)]);
});

test("its export, by path and by file URL", async () => {
  const progress: browser.LoadProgress[] = [];
  expectSame(await check(await TensorAR.load(exported, { onProgress: (each) => progress.push(each) })), traced);
  expect(progress.at(-1)).toMatchObject({ file: "config.json", loaded: progress.at(-1)?.total });
  await check(await TensorAR.load(pathToFileURL(exported)));
});

describe("from a server, as browsers do", () => {
  test("an export, its weights in files of their own", async () => {
    const url = await served(exported);
    const progress: browser.LoadProgress[] = [];
    const options = {
      runtime: ort,
      device: "cpu",
      onProgress: (each: browser.LoadProgress) => progress.push(each),
    } as const;
    expectSame(await check(await browser.TensorAR.load(url, options)), traced);
    const files = (await readdir(exported)).filter((file) => /onnx|config/.test(file)).sort();
    const complete = progress.filter(({ loaded, total }) => loaded === total).map(({ file }) => file);
    expect([...new Set(complete)].sort()).toEqual(files);
    expect(progress.length).toBeGreaterThan(complete.length); // and on the way
  });

  test("a model folder, with its tokenizer in it or named", async () => {
    await cp(model, join(dir, "whole"), { recursive: true });
    await cp(join(WEIGHTS, "tokenizer"), join(dir, "whole", "tokenizer"), { recursive: true });
    const url = await served(join(dir, "whole"));
    await check(await browser.TensorAR.load(url, { runtime: ort, device: "cpu", tracing }));
    const weights = await served(WEIGHTS);
    const named = { runtime: ort, device: "cpu", tracing, tokenizer: new URL("tokenizer", weights) } as const;
    await check(await browser.TensorAR.load(`${weights}/tensorar`, named));
    await expect(browser.TensorAR.load(url, { runtime: ort })).rejects.toThrow(/pass the option tracing/);
  });

  test("the files of a folder, as a user drops them on a page", async () => {
    const files = async (folder: string, prefix = "") =>
      Promise.all(
        (await readdir(folder)).map(async (file) => [prefix + file, await openAsBlob(join(folder, file))] as const),
      );
    const options = { runtime: ort, device: "cpu" } as const;
    const ofExport = new Map(await files(exported));
    expectSame(await check(await browser.TensorAR.load(ofExport, options)), traced);
    const ofModel = new Map([...(await files(model)), ...(await files(join(WEIGHTS, "tokenizer"), "tokenizer/"))]);
    await check(await browser.TensorAR.load(ofModel, { ...options, tracing }));
    ofExport.delete("decoder.onnx");
    await expect(browser.TensorAR.load(ofExport, options)).rejects.toThrow(/^decoder\.onnx: there is no such file/);
  });

  test("what is cut off, missing or a page is said, with its address", async () => {
    const file = "image-decoder.onnx";
    const loading = async (instead: Parameters<typeof served>[1]) =>
      browser.TensorAR.load(await served(exported, instead), { runtime: ort, device: "cpu" });
    const cut = loading((name, response) => {
      if (name !== file) return false;
      response.writeHead(200, { "content-length": 5000 });
      response.write(new Uint8Array(1000));
      setTimeout(() => response.destroy(), 20);
      return true;
    });
    await expect(cut).rejects.toThrow(/image-decoder\.onnx: .*(terminated|1000 of 5000 bytes)/);
    const page = loading((name, response) => {
      if (name === file) response.end("<!doctype html><title>home</title>");
      return name === file;
    });
    await expect(page).rejects.toThrow(/image-decoder\.onnx: it is a web page/);
    const missing = loading((name, response) => {
      if (name === file) response.writeHead(404).end();
      return name === file;
    });
    await expect(missing).rejects.toThrow(/image-decoder\.onnx: the server answers 404/);
    const empty = await served(join(dir, "nothing"));
    await expect(browser.TensorAR.load(empty, { runtime: ort })).rejects.toThrow(
      /config\.json: the server answers 404; expected a folder of `tensorar-exporter export`/,
    );
  });
});

describe("one model, many calls", () => {
  let loaded: TensorAR;
  beforeAll(async () => {
    loaded = await TensorAR.load(exported);
  });
  afterAll(() => loaded.dispose());

  test("steps are told, with codes that can be shown, and a call can be stopped between them", async () => {
    const controller = new AbortController();
    const steps: browser.StepProgress[] = [];
    const shown: number[] = [];
    const run = loaded.generate({
      count: 2,
      signal: controller.signal,
      async onStep(step) {
        steps.push(step);
        if (steps.length > 1) expect(shown).toHaveLength(steps.length - 1); // the next step waits
        shown.push((await loaded.decode(step.codes)).length);
        if (steps.length === 5) controller.abort();
      },
    });
    await expect(run).rejects.toSatisfy((error) => error === controller.signal.reason);
    expect(steps.map(({ done, total }) => [done, total])).toEqual([2, 4, 6, 8, 10].map((done) => [done, 128]));
    expect(steps.map(({ position }) => position)).toEqual([0, 1, 2, 3, 4]);
    expect(shown).toEqual([2, 2, 2, 2, 2]);
    await expect(TensorAR.load(exported, { signal: AbortSignal.abort() })).rejects.toThrow(
      expect.objectContaining({ name: "AbortError" }),
    );
  });

  test("the probabilities that drafts were drawn with are told on request", async () => {
    const options = { seed: 4, class: 3, count: 17 } as const;
    const parts: number[][] = [];
    const result = await loaded.generate({
      ...options,
      probabilities: true,
      onStep({ position, probabilities, trace }) {
        if (position === 63) parts.push([...probabilities!]);
        // A step drafts the token that it makes final and the three after it: depth 3 - i of the i-th of them.
        for (let i = 0; i < 4 && position + i < 64; i++) {
          const at = 4 * (position + i) + 3 - i;
          expect(trace[at]).toBeGreaterThanOrEqual(0);
          expect(probabilities![at]).toBeGreaterThan(0);
        }
      },
    });
    expect(parts.flat()).toEqual([...result.probabilities!]);
    for (const [at, code] of result.trace.entries()) {
      if (code < 0) expect(result.probabilities![at]).toBe(0);
      else expect(result.probabilities![at]).toBeLessThanOrEqual(1);
    }
    const without = await loaded.generate(options);
    expect([...without.codes]).toEqual([...result.codes]);
    expect(without.probabilities).toBeUndefined();
  });

  test("images do not depend on how many are made; calls at the same time run one after the other", async () => {
    const many = { seed: 3, class: 7, drafts: "renoise", temperature: 0.9, topP: 0.95 } as const;
    const [all, two] = await Promise.all([
      loaded.generate({ ...many, count: 18 }),
      loaded.generate({ ...many, count: 2, guidance: undefined, signal: undefined, topK: undefined }),
    ]);
    expect([...all.codes.subarray(0, 128)]).toEqual([...two.codes]);
    expect(new Set(all.codes.subarray(16 * 64)).size).toBeGreaterThan(3);
  });

  test("trust in drafts that is taken back, and draws by position, reach the sampler", async () => {
    const codes = async (options: browser.GenerateOptions) =>
      (await loaded.generate({ seed: 5, ...options })).codes.join();
    const all = await Promise.all([codes({}), codes({ leaveOneOut: 0 }), codes({ draws: "position" })]);
    expect(new Set(all).size).toBe(3);
    expect(await codes({ leaveOneOut: 1, draws: "step" })).toBe(all[0]);
  });

  test("without anything said, one image of the first class", async () => {
    const { codes } = await loaded.generate();
    expect([...codes]).toEqual([...(await loaded.generate({ class: 0, count: 1, seed: 0, scale: 1 })).codes]);
  });

  test.each<[browser.GenerateOptions, RegExp]>([
    [{ class: "noto/foods" }, /class "noto\/foods" is unknown; this model has 0 … 24; its names are noto\/activities,/],
    [{ class: 25 }, /class 25 is unknown/],
    [{ class: [] }, /no class is given/],
    [{ prompt: "a cat" }, /takes a class, not a prompt/],
    [{ count: 0 }, /count 0 is no number of images/],
    [{ scale: -1 }, /guidance scale -1 is out of range/],
    [{ scale: 2, guidance: { kind: "constant", scale: 2 } }, /scale and guidance are both given/],
    [{ drafts: "rew" as never }, /drafts "rew" are unknown; use "raw"/],
    [{ guidance: { kind: "none" } as never }, /guidance kind "none" is unknown/],
    [{ seed: 0.5 }, /seed/],
    [{ leaveOneOut: 2 }, /strength 2 is out of range/],
    [{ draws: "token" as never }, /draws "token" are unknown/],
  ])("%o is refused", async (options, message) => {
    await expect(loaded.generate(options)).rejects.toThrow(message);
  });
});

describe("what can't be loaded", () => {
  test.each<[string, browser.LoadOptions, RegExp]>([
    ["nothing", {}, /nothing\/config\.json: there is no such file/],
    ["", {}, /"" names no model/],
    ["emojis/tensorar", {}, /@tensorar\/weights-emojis/],
    ["export", { device: "gpu" as never }, /device "gpu" is unknown; use "cpu", "wasm", "webgpu"/],
    ["export", { device: "coreml" }, /device "coreml" can't be used: ONNX Runtime has .*cpu.*choose another/],
    ["export", { tokenizer: "x" }, /is an export, which holds its image decoder/],
  ])("%s %o", async (source, options, message) => {
    if (options.device === "coreml" && process.platform === "darwin") return;
    const path = source === "export" || source === "nothing" ? join(dir, source) : source;
    await expect(TensorAR.load(path, options)).rejects.toThrow(message);
  });

  test("a model without its tokenizer, or with another's", async () => {
    await cp(model, join(dir, "alone", "model"), { recursive: true });
    await expect(TensorAR.load(join(dir, "alone", "model"))).rejects.toThrow(
      /there is no tokenizer in .*alone.* or .*; name its folder by the option tokenizer/,
    );
    await expect(TensorAR.load(model, { tokenizer: model })).rejects.toThrow(/config\.json: not a tokenizer folder/);
  });

  test("a device that browsers do not have", async () => {
    const url = await served(exported);
    await expect(browser.TensorAR.load(url, { device: "cuda" })).rejects.toThrow('use "webgpu" or "wasm"');
    await expect(browser.TensorAR.load(url, { device: "webgpu" })).rejects.toThrow("this browser has no WebGPU");
  });
});
