import "@tensorflow/tfjs";
import { float32 } from "@tensorar/program";
import * as tf from "@tensorflow/tfjs-core";

import * as ort from "onnxruntime-node";
import { beforeAll, expect, test } from "vitest";
import { compileProgram } from "../src/index";

const row = (...values: number[]) => ({
  dtype: "float32" as const,
  shape: [values.length],
  data: Float32Array.from(values),
});

beforeAll(async () => {
  await tf.setBackend("cpu");
});

test("a program is given all of its inputs, also those and parts of those that its graph does not read", async () => {
  const run = await compileProgram(
    {
      name: "sum",
      inputs: { x: float32("n"), condition: { read: float32("n"), unread: float32("n") }, ignored: float32("n") },
      weights: {},
      run: ({ x, condition }) => ({ y: tf.add(x, condition.read) }),
    },
    { runtime: ort },
  );
  const given = { x: row(1, 2), condition: { read: row(10, 20), unread: row(5, 5) }, ignored: row(7, 7) };
  const { y } = await run(given);
  expect([...(y.data as Float32Array)]).toEqual([11, 22]);
  const { read: _, ...part } = given.condition;
  await expect(run({ ...given, condition: part as typeof given.condition })).rejects.toThrow(
    /"condition\/read" is missing/,
  );
  await run.dispose();
});
