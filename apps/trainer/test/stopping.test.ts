import { mkdir, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TensorData } from "@tensorar/checkpoint";
import { writeNpz } from "@tensorar/checkpoint/node";
import type { InceptionStatistics } from "@tensorar/evaluation";
import { compareFeatures, compareStatistics } from "@tensorar/evaluation";
import { createMoments } from "@tensorar/metrics";
import { TINY_VQ } from "@tensorar/testing";
import { type VqConfig, vqShapes } from "@tensorar/tokenizer";
import { saveTokenizer } from "@tensorar/tokenizer/node";
import type { Engine } from "@tensorar/training";
import { afterAll, beforeAll, expect, test } from "vitest";
import { spawnCli } from "./run-cli";

let dir: string;
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), "tensorar stopping "));
});
afterAll(() => rm(dir, { recursive: true, force: true }));

const REASON = new DOMException("stopped", "AbortError");
const [COUNT, DIMS] = [2000, 4];
const features = (phase: number) => ({
  count: COUNT,
  dims: DIMS,
  data: Float32Array.from({ length: COUNT * DIMS }, (_, i) => Math.sin(i * i + phase)),
});

/** An engine of which only products of rows are asked; `onCall` is told of each. */
const engineOf = (onCall: () => void): Engine => ({
  description: "products",
  prepare: async () =>
    Object.assign(
      async ({ a, b }: Record<string, unknown>) => {
        onCall();
        const shape = [(a as TensorData).shape[0]!, (b as TensorData).shape[0]!];
        return { products: { dtype: "float32", shape, data: new Float32Array(shape[0]! * shape[1]!) } as TensorData };
      },
      { setState: async () => {}, getState: async () => ({}), dispose: async () => {} },
    ) as never,
});

test("comparing features ends at the block after the signal", async () => {
  const stop = new AbortController();
  let calls = 0;
  const engine = engineOf(() => {
    calls++;
    stop.abort(REASON);
  });
  const work = compareFeatures(features(0), features(1), engine, stop.signal);
  await expect(work).rejects.toBe(REASON);
  expect(calls).toBe(1);
});

test("KID ends at the subset after the signal", async () => {
  const stop = new AbortController();
  const statistics = (phase: number): InceptionStatistics => {
    const moments = createMoments(DIMS);
    moments.add(features(phase).data);
    return {
      count: COUNT,
      pooled: moments.result(),
      spatial: undefined,
      score: undefined,
      notes: [],
      features: features(phase),
    };
  };
  const engine = engineOf(() => expect.unreachable("what comes after KID"));
  const work = compareStatistics(statistics(0), statistics(1), engine, 1, stop.signal);
  setImmediate(() => stop.abort(REASON));
  await expect(work).rejects.toBe(REASON);
});

test("Ctrl-C ends evaluate --tokenizer, on an engine that computes on the program's own thread", {
  timeout: 60_000,
}, async () => {
  const config: VqConfig = { ...TINY_VQ, codebook_size: 11 };
  const tensors = Object.fromEntries(
    Object.entries(vqShapes(config)).map(([name, shape]) => {
      const length = shape.reduce((product, size) => product * size, 1);
      return [
        name,
        { dtype: "float32" as const, shape, data: new Float32Array(length).map((_, i) => Math.sin(i) / 8) },
      ];
    }),
  );
  const tokenizer = join(dir, "tokenizer");
  await mkdir(tokenizer);
  await saveTokenizer(tokenizer, { kind: "vq", imageSize: 16, config, tensors }, "float32");
  const images = join(dir, "images.npz");
  const pixels = new Uint8Array(20_000 * 16 * 16 * 3).fill(100); // minutes of work
  await writeNpz(images, { arr_0: { dtype: "uint8", shape: [20_000, 16, 16, 3], data: pixels } });
  const { status, output } = await spawnCli(
    ["evaluate", "--samples", images, "--reference", images, "--tokenizer", tokenizer, "--engine", "cpu"],
    { when: /engine: .*cpu/, signal: "SIGINT" },
  );
  expect(status, output).toBe(130);
  expect(output).toContain("stopped");
});
