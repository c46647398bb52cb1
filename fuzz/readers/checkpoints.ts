import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { CheckpointFile, TensorData } from "@tensorar/checkpoint";
import {
  type NpzFile,
  openCheckpoint,
  openNpz,
  openSafetensors,
  openTorch,
  writeNpz,
  writeSafetensors,
} from "@tensorar/checkpoint/node";
import { stateDict, torchLegacy, torchZip } from "../../packages/checkpoint/test/torch-writer";
import { expectRight, type Reader } from "../lib/reader";

const float32 = (...shape: number[]): TensorData => {
  const length = shape.reduce((product, size) => product * size, 1);
  return { dtype: "float32", shape, data: Float32Array.from({ length }, (_, i) => i / 7) };
};
const TENSORS: Readonly<Record<string, TensorData>> = {
  "layers.0.weight": float32(3, 4),
  "layers.0.bias": float32(3),
  scalar: float32(),
  empty: float32(0, 2),
  "layers.1.halves": { dtype: "float16", shape: [5], data: Uint16Array.of(0, 1, 0x3c00, 0x7bff, 0xfc00) },
  ids: { dtype: "int64", shape: [2], data: BigInt64Array.of(-1n, 2n ** 40n) },
};

const lengthOf = (shape: readonly number[]): number => shape.reduce((product, size) => product * size, 1);

function expectTensor(name: string, { shape, data }: Pick<TensorData, "shape" | "data">): void {
  expectRight(
    shape.every((size) => Number.isSafeInteger(size) && size >= 0),
    `${name}: shape [${shape}]`,
  );
  expectRight(data.length === lengthOf(shape), `${name}: ${data.length} elements for [${shape}]`);
}

async function readAll(file: CheckpointFile): Promise<void> {
  try {
    for (const name of file.names) {
      const { dtype, shape } = file.info(name);
      const tensor = await file.read(name);
      expectTensor(name, tensor);
      expectRight(tensor.dtype === dtype && tensor.shape.join() === shape.join(), `${name}: info and tensor differ`);
      let streamed = 0;
      for await (const piece of file.stream(name)) streamed += piece.data.length;
      expectRight(streamed === tensor.data.length, `${name}: ${streamed} of ${tensor.data.length} elements streamed`);
    }
  } finally {
    await file.close();
  }
}

async function readArrays(file: NpzFile): Promise<void> {
  try {
    for (const name of file.names) {
      const { shape } = file.info(name);
      const array = await file.read(name);
      expectTensor(name, array);
      expectRight(array.shape.join() === shape.join(), `${name}: info and array differ`);
      if (shape.length === 0) continue;
      let rows = 0;
      for await (const part of file.rows(name, 2)) rows += part.shape[0]!;
      expectRight(rows === shape[0], `${name}: ${rows} of ${shape[0]} rows`);
    }
  } finally {
    await file.close();
  }
}

const STORAGES = { 0: new Uint8Array(240).fill(3), 1: new Uint8Array(40).fill(5) };
const base = { type: "FloatStorage", storageElements: 60, key: "0" };
const PICKLED = stateDict(
  [
    { ...base, name: "module.a", shape: [6, 10] },
    { ...base, name: "module.b", shape: [10, 6], strides: [1, 10] },
    { ...base, name: "module.c", shape: [3], strides: [0], offset: 5 },
    { ...base, name: "module.d", key: "1", storageElements: 10, shape: [2, 5] },
  ],
  "state_dict",
);

export const checkpointReaders: readonly Reader[] = [
  {
    name: "safetensors",
    seeds: (dir) => writeSafetensors(join(dir, "model.safetensors"), TENSORS),
    read: async (path) => readAll(await openSafetensors(path)),
  },
  {
    name: "torch",
    seeds: (dir) => writeFile(join(dir, "model.pt"), torchZip(PICKLED, STORAGES)),
    read: async (path) => readAll(await openTorch(path)),
  },
  {
    name: "torch-legacy",
    seeds: (dir) => writeFile(join(dir, "model.pth"), torchLegacy(PICKLED, STORAGES, 4)),
    read: async (path) => readAll(await openTorch(path)),
  },
  {
    name: "npz",
    seeds: (dir) => writeNpz(join(dir, "arrays.npz"), TENSORS as never),
    read: async (path) => readArrays(await openNpz(path)),
  },
  {
    name: "checkpoint",
    async seeds(dir) {
      const whole = join(dir, "whole");
      await mkdir(whole);
      await writeSafetensors(join(whole, "model.safetensors"), TENSORS);
      const shards = join(dir, "shards");
      await mkdir(shards);
      await writeSafetensors(join(shards, "a.safetensors"), { x: float32(2, 2) });
      await writeFile(join(shards, "b.bin"), torchZip(PICKLED, STORAGES));
      const weight_map = { x: "a.safetensors", "module.a": "b.bin", "module.d": "b.bin" };
      const index = JSON.stringify({ metadata: { total_size: 300 }, weight_map });
      await writeFile(join(shards, "model.safetensors.index.json"), index);
    },
    read: async (path) => readAll(await openCheckpoint(path)),
  },
];
