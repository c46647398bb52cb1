import { existsSync, readdirSync, readFileSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { hashValues, referenceFiles, requireCases } from "@tensorar/testing";
import { describe, expect, test } from "vitest";
import { type CheckpointFile, castTensor, TensorARError, type TensorData } from "../src/index";
import { openCheckpoint, openTorch, readSafetensors } from "../src/node";
import type { LoaderSet } from "./loader-files";

interface TorchSet extends LoaderSet {
  readonly vq_weights: LoaderSet["gpt_weights"];
  readonly vq_seed: string;
}

const sets = referenceFiles(".json").flatMap((path) => {
  const set = JSON.parse(readFileSync(path, "utf8")) as TorchSet;
  return set.files !== undefined && set.gpt_weights !== undefined ? [{ folder: dirname(path), set }] : [];
});
const files = sets.flatMap(({ folder, set }) =>
  Object.entries(set.files).map(([name, file]) => ({ name, path: join(folder, name), ...file, folder, set })),
);
const torch = files.filter(({ name, refuse }) => name.endsWith(".pt") && refuse === undefined);
const hostile = files.filter(({ refuse }) => refuse !== undefined);

requireCases("checkpoints", files);

const bytesOf = ({ data }: TensorData) => Buffer.from(data.buffer, data.byteOffset, data.byteLength);

/** Exact: weights are defined to the bit, and so is rounding them. */
async function expectHash(
  file: CheckpointFile,
  name: string,
  weights: LoaderSet["gpt_weights"],
  seed: string,
  factor = 1,
) {
  const weight = weights.find((candidate) => candidate.name === name);
  expect(weight, name).toBeDefined();
  const { shape, offset, scale } = weight!;
  const length = shape.reduce((product, size) => product * size, 1);
  const data = hashValues(`${seed}/${name}`, length, offset, scale).map((value) => value * factor);
  const actual = await file.read(name);
  expect(actual.shape).toEqual(shape);
  const expected = castTensor({ dtype: "float32", shape, data }, actual.dtype as "float32");
  expect(Buffer.compare(bytesOf(actual), bytesOf(expected)), name).toBe(0);
}

describe.skipIf(torch.length === 0)("files of torch.save", () => {
  test.each(torch.filter(({ name }) => /^(gpt|protocol|flat)/.test(name)))(
    "$name holds the weights of the hash",
    async ({ path, format, set }) => {
      const file = await openCheckpoint(path);
      const names = set.gpt_weights.map(({ name }) => name);
      const partial = /first \d+ tensors/.exec(format);
      const isWhole = path.includes("tiny");
      expect(file.names.length).toBe(
        partial ? Number(partial[0].split(" ")[1]) : isWhole ? names.length : file.names.length,
      );
      expect(file.names.length).toBeGreaterThan(0);
      for (const name of file.names) await expectHash(file, name, set.gpt_weights, set.seed);
      await file.close();
    },
  );

  test.each(torch.filter(({ name }) => name.startsWith("vq")))(
    "$name: model, and ema by its root",
    async ({ path, set }) => {
      for (const [root, factor] of [
        [undefined, 1],
        ["ema", 0.5],
      ] as const) {
        const file = await openTorch(path, { root });
        expect(file.root).toBe(root ?? "model");
        const hashed = new Set(set.vq_weights.map(({ name }) => name));
        expect(file.names.filter((name) => hashed.has(name)).length).toBe(hashed.size);
        for (const name of file.names) {
          if (hashed.has(name)) await expectHash(file, name, set.vq_weights, set.vq_seed, factor);
          else
            expect(Array.from((await file.read(name)).data as Float32Array).every((value) => value === 0)).toBe(true);
        }
        await file.close();
      }
    },
  );

  test.each(torch.filter(({ name }) => name.startsWith("odd")))(
    "$name: every view as expected",
    async ({ path, folder }) => {
      const expected = await readSafetensors(join(folder, "expected.safetensors"));
      const file = await openCheckpoint(path);
      const names = Object.keys(expected).filter((name) => name.startsWith("odd."));
      expect(names.length).toBeGreaterThan(0);
      for (const stored of names) {
        const actual = await file.read(stored.slice("odd.".length));
        expect(actual.shape).toEqual(expected[stored]!.shape);
        expect(Array.from(actual.data as Float32Array), stored).toEqual(
          Array.from(expected[stored]!.data as Float32Array),
        );
      }
      expect(file.info("double").dtype).toBe("float64");
      expect(file.info("boolean").dtype).toBe("bool");
      expect((await file.read("nested.tensor")).data.length).toBeGreaterThan(0);
      await file.close();
    },
  );
});

test.skipIf(hostile.length === 0).each(hostile)("$name is refused: $refuse", async ({ path, refuse }) => {
  const error = await openCheckpoint(path).then(
    () => undefined,
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(TensorARError);
  expect((error as Error).message).toContain(path);
  if (/system/.test(refuse!)) expect((error as Error).message).toContain("posix.system");
  expect(Object.getOwnPropertyNames(Object.prototype)).not.toContain("dtype");
});

test.skipIf(files.length === 0)("every file of the folder that loads or is hostile is listed", () => {
  for (const { folder, set } of sets) {
    for (const name of readdirSync(folder).filter((file) => file.endsWith(".pt")))
      expect(Object.keys(set.files)).toContain(name);
    for (const name of Object.keys(set.files)) expect(existsSync(join(folder, basename(name)))).toBe(true);
  }
});
