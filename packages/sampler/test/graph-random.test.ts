import "@tensorflow/tfjs";
import { createStream } from "@tensorar/noise";
import { compile } from "@tensorar/onnx";
import * as tf from "@tensorflow/tfjs-core";
import * as ort from "onnxruntime-node";
import { beforeAll, expect, test } from "vitest";
import { streamName } from "../src";
import { generationNumbers, gumbels } from "../src/graph/random";

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
      u: generationNumbers(seed, index, { tokens, windowSize, factors }).uniforms!,
    }),
    { seed: { dtype: "int32", shape: ["batch"] }, index: { dtype: "int32", shape: ["batch"] } },
    { runtime: ort },
  );
  const [seeds, indices] = [[0, 12345, 2 ** 31 - 1], [0, 70000, 3]]; // biome-ignore format: one row
  const { u } = await run({ seed: ints(...seeds!), index: ints(...indices!) });
  const expected = seeds!.flatMap((seed, row) =>
    Array.from({ length: tokens }, (_, position) =>
      Array.from({ length: factors }, (_, factor) => {
        const stream = (name: string) => createStream(seed, streamName(name, factor), indices![row]!, position);
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
      // With the numbers of draws before them, as in a graph.
      generationNumbers(seed, index, { tokens, windowSize, factors: 2, noiseCodes: vocabSize }).noise!,
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

test.each([
  [7, 0],
  [512, 1],
])("Gumbel numbers are -log(-log(1 - u)) of the stream's words, %i codes, sub-token %i", async (size, factor) => {
  const run = await compile(
    ({ seed, index, positions }: { seed: tf.Tensor; index: tf.Tensor; positions: tf.Tensor }) => ({
      g: gumbels(seed, index, positions, { size, factor }),
    }),
    {
      seed: { dtype: "int32", shape: ["batch"] },
      index: { dtype: "int32", shape: ["batch"] },
      positions: { dtype: "int32", shape: [2] },
    },
    { runtime: ort },
  );
  const [seeds, indices, positions] = [[0, 2 ** 31 - 1], [70000, 3], [4, 5]]; // biome-ignore format: one row
  const { g } = await run({ seed: ints(...seeds!), index: ints(...indices!), positions: ints(...positions!) });
  expect(g.shape).toEqual([2, 2, size]);
  const expected = seeds!.flatMap((seed, row) =>
    positions!.flatMap((position) => {
      const stream = createStream(seed, streamName("gumbel", factor), indices![row]!, position);
      return Array.from({ length: size }, () => -Math.log(-Math.log1p(-(stream.uint32() + 0.5) / 2 ** 32)));
    }),
  );
  // float32 of the word, of both logarithms and of numbers up to 22: a few units in the last place of each.
  for (const [i, value] of expected.entries())
    expect(Math.abs((g.data as Float32Array)[i]! - value)).toBeLessThan(1e-5);
  await run.dispose();
});
