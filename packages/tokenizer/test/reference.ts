import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseSafetensors, type TensorData, toFloat32 } from "@tensorar/checkpoint";
import * as tf from "@tensorflow/tfjs-core";
import type { VqConfig } from "../src";

const REPOSITORY = fileURLToPath(new URL("../../../", import.meta.url));

/** Folder of expected outputs of the original code; see `TENSORAR_REFERENCE` in the README. */
export const referenceFolder = join(REPOSITORY, process.env.TENSORAR_REFERENCE ?? "../shared/reference");

export interface Tolerance {
  readonly atol: number;
  readonly rtol: number;
}

export interface VqCase {
  readonly name: string;
  readonly config: VqConfig;
  readonly parameters: number;
  readonly gradNames: readonly string[];
  readonly tolerances: Readonly<Record<string, Tolerance>>;
  readonly weights: readonly WeightEntry[];
  readonly seed: string;
  /** A stored tensor as float32. @throws where the case has none of that name */
  expected(name: string): { shape: readonly number[]; data: Float32Array };
  integers(name: string): Int32Array;
  has(name: string): boolean;
}

interface WeightEntry {
  readonly name: string;
  readonly shape: readonly number[];
  readonly offset: number;
  readonly scale: number;
}

interface CaseFile {
  readonly source?: { readonly repo?: string; readonly files?: readonly string[] };
  readonly seed: string;
  readonly config: VqConfig;
  readonly ch: number;
  readonly num_res_blocks: number;
  readonly params: number;
  readonly grad_names: readonly string[];
  readonly tolerances: Readonly<Record<string, Tolerance>>;
  readonly weights: readonly WeightEntry[];
}

/** Every case made from LlamaGen's `vq_model.py` alone, by content and not by name. Empty without the folder. */
export function vqCases(): VqCase[] {
  if (!existsSync(referenceFolder)) return [];
  return jsonFiles(referenceFolder).flatMap((path) => {
    const file = JSON.parse(readFileSync(path, "utf8")) as CaseFile;
    const sources = file.source?.files ?? [];
    const isVq = file.source?.repo === "FoundationVision/LlamaGen" && sources.join().endsWith("/vq_model.py");
    return isVq && sources.length === 1 && "codebook_size" in file.config ? [openCase(path, file)] : [];
  });
}

function jsonFiles(folder: string): string[] {
  return readdirSync(folder, { recursive: true, encoding: "utf8" })
    .filter((path) => path.endsWith(".json") && existsSync(join(folder, path.replace(/json$/, "safetensors"))))
    .sort()
    .map((path) => join(folder, path));
}

function openCase(path: string, file: CaseFile): VqCase {
  let tensors: Readonly<Record<string, TensorData>> | undefined;
  const read = (name: string): TensorData => {
    tensors ??= parseSafetensors(readFileSync(path.replace(/json$/, "safetensors"))) as never;
    const tensor = tensors![name];
    if (!tensor) throw new Error(`${path}: no tensor "${name}"`);
    return tensor;
  };
  return {
    name: path.slice(referenceFolder.length + 1, -".json".length),
    config: { ...file.config, ch: file.ch, num_res_blocks: file.num_res_blocks },
    parameters: file.params,
    gradNames: file.grad_names,
    tolerances: file.tolerances,
    weights: file.weights,
    seed: file.seed,
    expected: (name) => ({ shape: read(name).shape, data: toFloat32(read(name)) }),
    integers: (name) => Int32Array.from(read(name).data as Int32Array),
    has: (name) => {
      read("image");
      return Object.hasOwn(tensors!, name);
    },
  };
}

/** The case's weights, from the integer hash that the reference's README defines. The caller owns the tensors. */
export function hashWeights({ seed, weights }: VqCase): Record<string, tf.Tensor> {
  return Object.fromEntries(
    weights.map(({ name, shape, offset, scale }) => {
      const values = new Float32Array(shape.reduce((product, size) => product * size, 1));
      const start = fnv1a(`${seed}/${name}`);
      for (let i = 0; i < values.length; i++) values[i] = offset + scale * (2 * hashUniform(start, i) - 1);
      return [name, tf.tensor(values, [...shape], "float32")];
    }),
  );
}

function fnv1a(text: string): number {
  let h = 0x811c9dc5;
  for (const byte of new TextEncoder().encode(text)) h = Math.imul(h ^ byte, 0x01000193);
  return h >>> 0;
}

function hashUniform(start: number, index: number): number {
  let z = (start + Math.imul(index, 0x9e3779b9)) >>> 0;
  z = Math.imul(z ^ (z >>> 16), 0x85ebca6b);
  z = Math.imul(z ^ (z >>> 13), 0xc2b2ae35);
  return ((z ^ (z >>> 16)) >>> 8) / 2 ** 24;
}
