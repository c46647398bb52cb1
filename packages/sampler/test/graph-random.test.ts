import "@tensorflow/tfjs";
import { createStream } from "@tensorar/noise";
import { compile } from "@tensorar/onnx";
import * as tf from "@tensorflow/tfjs-core";
import * as ort from "onnxruntime-node";
import { beforeAll, expect, test } from "vitest";
import { streamPurpose } from "../src";
import { draftNoise, generationUniforms } from "../src/graph/random";

// Expected values: the streams that `generate` draws from, cut to the 24 bits of float32.

beforeAll(async () => {
  await tf.setBackend("cpu");
});

const ints = (...data: number[]) => ({ dtype: "int32" as const, shape: [data.length], data: Int32Array.from(data) });

test.each([
  [1, 1],
  [2, 1],
  [5, 1],
  [7, 1],
  [1, 2],
  [3, 2],
])("random numbers are those of the sampler's streams, window %i, %i sub-tokens", async (windowSize, factors) => {
  const tokens = 6;
  const run = await compile(
    ({ seed, index }: { seed: tf.Tensor; index: tf.Tensor }) => ({
      u: generationUniforms(seed, index, { tokens, windowSize, factors }),
    }),
    { seed: { dtype: "int32", shape: ["batch"] }, index: { dtype: "int32", shape: ["batch"] } },
    { runtime: ort },
  );
  const [seeds, indices] = [[0, 12345, 2 ** 31 - 1], [0, 70000, 3]]; // biome-ignore format: one row
  const { u } = await run({ seed: ints(...seeds!), index: ints(...indices!) });
  const expected = seeds!.flatMap((seed, row) =>
    Array.from({ length: tokens }, (_, position) =>
      Array.from({ length: factors }, (_, factor) => {
        const stream = (purpose: string) =>
          createStream(seed, streamPurpose(purpose, factor), indices![row]!, position);
        const [token, draft] = [stream("token"), stream("draft")];
        return [token.uniform(), ...Array.from({ length: windowSize - 1 }, () => draft.uniform())];
      }),
    ),
  );
  const cut = expected.flat(2).map((value) => Math.floor(value * 2 ** 24) / 2 ** 24);
  expect([...(u.data as Float32Array)]).toEqual(cut);
  await run.dispose();
});

test.each([
  [2, 16384],
  [3, 13],
  [4, 262144],
  [9, 99991],
])("noise is that of the sampler's stream, window %i, %i codes", async (windowSize, vocabSize) => {
  const tokens = 5;
  const run = await compile(
    ({ seed, index }: { seed: tf.Tensor; index: tf.Tensor }) =>
      draftNoise(seed, index, { tokens, windowSize, vocabSize }),
    { seed: { dtype: "int32", shape: ["batch"] }, index: { dtype: "int32", shape: ["batch"] } },
    { runtime: ort },
  );
  const [seeds, indices] = [[0, 12345, 2 ** 31 - 1], [0, 70000, 3]]; // biome-ignore format: one row
  const { chances, codes } = await run({ seed: ints(...seeds!), index: ints(...indices!) });
  const pairs = seeds!.flatMap((seed, row) =>
    Array.from({ length: tokens }, (_, position) => {
      const stream = createStream(seed, "draft-noise", indices![row]!, position);
      return Array.from({ length: windowSize - 1 }, () => [stream.uniform(), stream.uniform()] as const);
    }),
  );
  const numbers = pairs.flat();
  expect(chances.shape).toEqual([seeds!.length, tokens, windowSize - 1]);
  expect([...(chances.data as Float32Array)]).toEqual(numbers.map(([u]) => Math.floor(u * 2 ** 24) / 2 ** 24));
  expect([...(codes.data as Int32Array)]).toEqual(numbers.map(([, u]) => Math.floor(u * vocabSize)));
  await run.dispose();
});
