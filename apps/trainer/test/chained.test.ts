import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { loadModel } from "@tensorar/model/node";
import { classLabels, type GenerateOptions, generate } from "@tensorar/sampler";
import "@tensorflow/tfjs";
import { chooseEngine } from "@tensorar/training";
import * as tf from "@tensorflow/tfjs-core";
import { afterAll, beforeAll, expect, test } from "vitest";
import { openDecoder } from "../src/decoder-runner";
import { writeTinyModel } from "./tiny-models";

let dir: string;
beforeAll(async () => {
  await tf.setBackend("cpu");
  dir = await mkdtemp(join(tmpdir(), "tensorar-chained-"));
  await writeTinyModel(dir, { tensorar: { windowSize: 3, depth: 1, structure: "chained" } });
});
afterAll(() => rm(dir, { recursive: true }));

/** Codes and drafts of three images. */
async function drawn(engine: "onnx" | "cpu", parallel: number) {
  const model = await loadModel(dir);
  const opened = await openDecoder(model, classLabels(3), await chooseEngine(engine, { threads: 1 }), {
    parallel: parallel > 1,
  });
  const options: GenerateOptions & { trace: true } = {
    conditions: [0, 1, 2],
    seed: 4,
    guidance: { kind: "constant", scale: 1.5 },
    drafts: { kind: "raw" },
    draws: "position",
    parallel,
    trace: true,
  };
  let last: readonly number[][] = [];
  for await (const { codes, trace } of generate(opened.decoder, options)) last = [[...codes], [...trace]];
  await opened.dispose();
  return last;
}

test("compiled, op by op and by Jacobi decoding, a chained model draws the same", async () => {
  const expected = await drawn("cpu", 1);
  expect(new Set(expected[0]).size).toBeGreaterThan(4);
  expect(await drawn("onnx", 1)).toEqual(expected);
  expect(await drawn("onnx", 3)).toEqual(expected);
});
