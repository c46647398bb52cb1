import { readFileSync, statSync } from "node:fs";
import { hashValues, referenceFiles, requireCases } from "@tensorar/testing";
import { describe, expect, test } from "vitest";
import { parseSafetensors, serializeSafetensors, TensorARError, toFloat32 } from "../src/index";
import { openSafetensors, readSafetensors } from "../src/node";
import { STORED_DTYPES } from "../src/safetensors/header";
import { loaderFiles } from "./loader-files";
import { BFLOAT16, HALF, nearestBits } from "./rounding";

const files = loaderFiles();
const hostile = files.filter((file) => file.refuse !== undefined);
const good = files.filter((file) => file.refuse === undefined);

requireCases("checkpoints", files);

const EXPECTED = {
  F32: (values: Float32Array) => values,
  F16: (values: Float32Array) => Uint16Array.from(values, (value) => nearestBits(value, HALF)),
  BF16: (values: Float32Array) => Uint16Array.from(values, (value) => nearestBits(value, BFLOAT16)),
} as const;

describe.skipIf(good.length === 0)("files written by Python", () => {
  // Exact: the weights are defined to the bit, and rounding to 16 bits is defined to the bit too.
  test.each(good)("$name holds the weights of the hash", async ({ path, format, bytes, set }) => {
    expect(statSync(path).size).toBe(bytes);
    const stored = format.split(" ")[1] as keyof typeof EXPECTED;
    const tensors = await readSafetensors(path);
    expect(Object.keys(tensors).sort()).toEqual(set.gpt_weights.map(({ name }) => name).sort());
    for (const { name, shape, offset, scale } of set.gpt_weights) {
      const { dtype, shape: actualShape, data } = tensors[name]!;
      const length = shape.reduce((product, size) => product * size, 1);
      expect(STORED_DTYPES[dtype]).toBe(stored);
      expect(actualShape).toEqual(shape);
      expect(data).toEqual(EXPECTED[stored](hashValues(`${set.seed}/${name}`, length, offset, scale)));
    }
  });

  test.each(referenceFiles(".safetensors").filter((path) => !hostile.some((file) => file.path === path)))(
    "%s: reading ranges equals reading memory, and writing gives the tensors back",
    async (path) => {
      const inMemory = parseSafetensors(readFileSync(path), path);
      const ranged = await readSafetensors(path);
      const rewritten = parseSafetensors(serializeSafetensors(ranged));
      expect(Object.keys(ranged)).toEqual(Object.keys(inMemory));
      expect(Object.keys(rewritten).sort()).toEqual(Object.keys(inMemory).sort());
      for (const [name, { dtype, shape, data }] of Object.entries(inMemory)) {
        for (const other of [ranged[name]!, rewritten[name]!]) {
          expect(other.dtype).toBe(dtype);
          expect(other.shape).toEqual(shape);
          expect(Buffer.compare(bytesOf(other.data), bytesOf(data))).toBe(0);
        }
        expect(toFloat32(inMemory[name]!).length).toBe(data.length);
      }
    },
  );
});

const bytesOf = (data: ArrayBufferView) => new Uint8Array(data.buffer, data.byteOffset, data.byteLength);

describe.skipIf(hostile.length === 0)("hostile files", () => {
  test.each(hostile)("$name is refused: $refuse", async ({ path }) => {
    const refusals: unknown[] = [];
    await openSafetensors(path).catch((error) => refusals.push(error));
    await readSafetensors(path).catch((error) => refusals.push(error));
    try {
      parseSafetensors(readFileSync(path), path);
    } catch (error) {
      refusals.push(error);
    }
    expect(refusals.length).toBe(3);
    for (const error of refusals) {
      expect(error).toBeInstanceOf(TensorARError);
      expect((error as Error).message).toContain(path);
    }
    expect(Object.getOwnPropertyNames(Object.prototype)).not.toContain("dtype");
  });
});
