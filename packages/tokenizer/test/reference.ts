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

/** A case as its files have it; `file` is the JSON, whose configuration depends on the model. */
export interface ReferenceCase {
  readonly name: string;
  readonly file: CaseFile;
  readonly seed: string;
  readonly weights: readonly WeightEntry[];
  readonly tolerances: Readonly<Record<string, Tolerance>>;
  /** A stored tensor as float32. @throws where the case has none of that name */
  expected(name: string): { shape: readonly number[]; data: Float32Array };
  integers(name: string): Int32Array;
  has(name: string): boolean;
}

export interface VqCase extends ReferenceCase {
  readonly config: VqConfig;
  readonly parameters: number;
  readonly gradNames: readonly string[];
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
  readonly config: unknown;
  readonly tolerances: Readonly<Record<string, Tolerance>>;
  readonly weights?: readonly WeightEntry[];
  readonly [key: string]: unknown;
}

/** Every case made from LlamaGen's `vq_model.py` alone. Empty without the folder. */
export function vqCases(): VqCase[] {
  return casesFrom("FoundationVision/LlamaGen", "/vq_model.py").flatMap((each) => {
    const { config, ch, num_res_blocks, params, grad_names, source } = each.file;
    if (source?.files?.length !== 1 || !("codebook_size" in (config as object))) return [];
    return {
      ...each,
      config: { ...(config as VqConfig), ch: ch as number, num_res_blocks: num_res_blocks as number },
      parameters: params as number,
      gradNames: grad_names as string[],
    };
  });
}

/** Every case made from a source file of a repository, by content and not by name. Empty without the folder. */
export function casesFrom(repo: string, sourceFile: string): ReferenceCase[] {
  if (!existsSync(referenceFolder)) return [];
  return jsonFiles(referenceFolder).flatMap((path) => {
    const file = JSON.parse(readFileSync(path, "utf8")) as CaseFile;
    const isFrom = file.source?.repo === repo && file.source.files?.some((name) => name.endsWith(sourceFile));
    return isFrom ? [openCase(path, file)] : [];
  });
}

function jsonFiles(folder: string): string[] {
  return readdirSync(folder, { recursive: true, encoding: "utf8" })
    .filter((path) => path.endsWith(".json") && existsSync(join(folder, path.replace(/json$/, "safetensors"))))
    .sort()
    .map((path) => join(folder, path));
}

function openCase(path: string, file: CaseFile): ReferenceCase {
  let opened: Readonly<Record<string, TensorData>> | undefined;
  const tensors = () => {
    opened ??= parseSafetensors(readFileSync(path.replace(/json$/, "safetensors"))) as never;
    return opened as Readonly<Record<string, TensorData>>;
  };
  const read = (name: string): TensorData => {
    const tensor = tensors()[name];
    if (!tensor) throw new Error(`${path}: no tensor "${name}"`);
    return tensor;
  };
  return {
    name: path.slice(referenceFolder.length + 1, -".json".length),
    file,
    seed: file.seed,
    weights: file.weights ?? [],
    tolerances: file.tolerances,
    expected: (name) => ({ shape: read(name).shape, data: toFloat32(read(name)) }),
    integers: (name) => Int32Array.from(read(name).data as Int32Array),
    has: (name) => Object.hasOwn(tensors(), name),
  };
}

/** The case's weights, from the integer hash that the reference's README defines. The caller owns the tensors. */
export function hashWeights({ seed, weights }: Pick<ReferenceCase, "seed" | "weights">): Record<string, tf.Tensor> {
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
