import { existsSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join, relative, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import * as tf from "@tensorflow/tfjs-core";
import { test } from "vitest";
import type { Tolerance } from "./close";
import { hashValues, type WeightRecipe } from "./hash";
import { readStored, type StoredTensor } from "./safetensors";

const chosen = process.env.TENSORAR_REFERENCE;
const repository = fileURLToPath(new URL("../../../", import.meta.url));

/** Folder of what the original code computed: the one in this package, or `TENSORAR_REFERENCE`. */
export const referenceFolder = resolve(repository, chosen ?? "packages/testing/reference");

/** What every description has; the rest depends on the case. */
interface Description {
  readonly case: string;
  readonly seed: string;
  readonly source?: { readonly repo?: string; readonly files?: readonly string[]; readonly cls?: string };
  readonly tensors: Readonly<Record<string, unknown>>;
  readonly tolerances: Readonly<Record<string, Tolerance>>;
  readonly weights?: readonly WeightRecipe[];
  /** The case beside it that has the same weights, where it lists none. */
  readonly weights_case?: string;
}

// biome-ignore lint/suspicious/noExplicitAny: the configuration of a model that the test names, and what else its case states
export type AnyJson = Readonly<Record<string, any>>;

/** A description with the tensors beside it. What does not exist throws. */
export interface ReferenceCase<Json = AnyJson> {
  /** Path below the folder, without extension. */
  readonly name: string;
  readonly json: Description & Json;
  has(tensor: string): boolean;
  tensor(name: string): StoredTensor;
  /** A tensor as float32. */
  expected(name: string): { readonly shape: readonly number[]; readonly data: Float32Array };
  integers(name: string): Int32Array;
  /** A tensor as tfjs tensor of int32; the caller's. */
  int32(name: string): tf.Tensor;
  tolerance(group: string): Tolerance;
  /** Weights by the recipe of the reference; the caller's. */
  params(): Record<string, tf.Tensor>;
}

/** Paths of all reference files whose name ends so, sorted. */
export function referenceFiles(extension: string): string[] {
  if (!existsSync(referenceFolder)) return [];
  return readdirSync(referenceFolder, { recursive: true, encoding: "utf8" })
    .filter((name) => name.endsWith(extension))
    .sort()
    .map((name) => join(referenceFolder, name));
}

const tensorsBeside = (path: string): string => path.replace(/json$/, "safetensors");

/**
 * The cases whose description passes, by content and not by name. Read the tensors only when they are asked for.
 * @param source end of the path of the original's source file
 */
export function referenceCases<Json = AnyJson>(source = ""): ReferenceCase<Json>[] {
  return referenceFiles(".json")
    .filter((path) => existsSync(tensorsBeside(path)))
    .map((path) => openCase<Json>(path))
    .filter(({ json }) => source === "" || json.source?.files?.some((file) => file.endsWith(source)));
}

/**
 * Says what is missing where there are no cases: the repository holds some of every kind, so only another folder may lack them.
 * @throws Error when the repository's own folder has none
 */
export function requireCases(what: string, cases: readonly unknown[]): void {
  if (cases.length > 0) return;
  if (chosen === undefined) throw new Error(`${referenceFolder} has no case of ${what}`);
  test.skip(`no case of ${what} in TENSORAR_REFERENCE = ${chosen}`, () => {});
}

function openCase<Json>(path: string): ReferenceCase<Json> {
  const json = JSON.parse(readFileSync(path, "utf8")) as Description & Json;
  const name = relative(referenceFolder, path).replace(/\.json$/, "");
  let stored: Record<string, StoredTensor> | undefined;
  const tensors = () => {
    stored ??= readStored(tensorsBeside(path));
    return stored;
  };
  const tensor = (wanted: string): StoredTensor => {
    const found = tensors()[wanted];
    if (!found) throw new Error(`${name} has no tensor ${wanted}`);
    return found;
  };
  return {
    name,
    json,
    has: (wanted) => Object.hasOwn(tensors(), wanted),
    tensor,
    expected(wanted) {
      const { shape, data } = tensor(wanted);
      return { shape, data: Float32Array.from(data as Float32Array, Number) };
    },
    integers: (wanted) => Int32Array.from(tensor(wanted).data as Int32Array, Number),
    int32(wanted) {
      const { data, shape } = tensor(wanted);
      return tf.tensor(data as Int32Array, [...shape], "int32");
    },
    tolerance(group) {
      const tolerance = json.tolerances[group];
      if (!tolerance) throw new Error(`${name} states no tolerance for ${group}`);
      return tolerance;
    },
    params() {
      const { seed, weights, weights_case } = json;
      if (!weights) return openCase(join(dirname(path), `${weights_case}.json`)).params();
      return Object.fromEntries(weights.map((recipe) => [recipe.name, hashTensor(seed, recipe)]));
    },
  };
}

function hashTensor(seed: string, { name, shape, offset, scale }: WeightRecipe): tf.Tensor {
  const length = shape.reduce((product, size) => product * size, 1);
  return tf.tensor(hashValues(`${seed}/${name}`, length, offset, scale), [...shape], "float32");
}
