import "@tensorflow/tfjs";
import { readdirSync } from "node:fs";
import { tmpdir } from "node:os";
import { initParameters } from "@tensorar/model";
import * as tf from "@tensorflow/tfjs-core";
import * as runtime from "onnxruntime-node";
import { expect, test } from "vitest";
import { TOKEN_ENCODERS, textEncoderProgram } from "../src";
import { compileEncoder } from "../src/compile";
import { TINY_T5 } from "./folders";

test("weights too large for one graph go through files, which are removed", async () => {
  await tf.setBackend("cpu");
  const encoder = TOKEN_ENCODERS.t5(TINY_T5);
  const program = textEncoderProgram(encoder, initParameters(encoder.shapes, 1, { std: 0.5 }));
  const left = () => readdirSync(tmpdir()).filter((name) => name.startsWith("tensorar-encoder-weights-")).length;
  const tokens = {
    ids: { dtype: "int32" as const, shape: [1, 3], data: Int32Array.of(3, 4, 1) },
    mask: { dtype: "int32" as const, shape: [1, 3], data: Int32Array.of(1, 1, 1) },
  };
  const inMemory = await compileEncoder(program, { runtime });
  const expected = (await inMemory.run(tokens)).features;
  await inMemory.dispose();
  const before = left();
  const inFiles = await compileEncoder(program, { runtime }, 100);
  expect(left()).toBe(before + 1);
  expect((await inFiles.run(tokens)).features).toEqual(expected);
  await inFiles.dispose();
  expect(left()).toBe(before);
});
