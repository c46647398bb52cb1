import * as tf from "@tensorflow/tfjs-core";
import { expect, test } from "vitest";
import { chooseEngine } from "../src/index";

const vector = (...values: number[]) =>
  ({ dtype: "float32", shape: [values.length], data: Float32Array.from(values) }) as const;

test.each(["onnx", "cpu"] as const)(
  "%s runs typed functions, with state and with tensors of a backend",
  async (name) => {
    const engine = await chooseEngine(name, { threads: 1 });
    const run = await engine.prepare(
      ({ sum, rows }) => ({
        sum: { total: tf.add(sum.total, tf.addN([...rows])) },
        parts: rows.map((row) => tf.mul(row, 2)),
      }),
      {
        sum: { total: { dtype: "float32", shape: [2] } },
        rows: [
          { dtype: "float32", shape: [2] },
          { dtype: "float32", shape: [2] },
        ],
      },
      { state: ["sum"] },
    );
    await run.setState({ sum: { total: vector(0, 0) } });
    const given = tf.tensor1d([3, 4]);
    const before = tf.memory().numTensors;
    const { parts } = await run({ rows: [vector(1, 2), given] });
    await run({ rows: [vector(1, 2), given] });
    expect(Array.from(parts[1]!.data as Float32Array)).toEqual([6, 8]);
    expect(Array.from((await run.getState()).sum.total.data as Float32Array)).toEqual([8, 12]);
    expect(tf.memory().numTensors).toBe(before);
    expect(given.isDisposed).toBe(false); // tensors that are given stay the caller's
    await run.dispose();
    given.dispose();
  },
);
