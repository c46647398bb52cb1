import { existsSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { parseSafetensors, type TensorData } from "@tensorar/checkpoint";
import * as tf from "@tensorflow/tfjs-core";
import type { LlamaGenConfig } from "../src";
import type { Tolerance } from "./compare";

const here = dirname(fileURLToPath(import.meta.url));
/** Folder of outputs of the original PyTorch code. */
export const referenceRoot = resolve(here, "../../..", process.env.TENSORAR_REFERENCE ?? "../shared/reference");

export interface WeightRecipe {
  readonly name: string;
  readonly shape: number[];
  readonly offset: number;
  readonly scale: number;
}

export interface ReferenceJson {
  readonly case: string;
  readonly seed: string;
  readonly config: LlamaGenConfig;
  readonly source?: { readonly files?: readonly string[] };
  readonly tensors: Readonly<Record<string, unknown>>;
  readonly tolerances: Readonly<Record<string, Tolerance>>;
  readonly weights?: WeightRecipe[];
  readonly weights_case?: string;
  readonly grad_names?: string[];
  readonly generate?: { readonly cfg_scale: number; readonly cfg_interval: number; readonly output: string }[];
  readonly optimizer?: {
    readonly lr: number;
    readonly betas: [number, number];
    readonly eps: number;
    readonly weight_decay: number;
    readonly clip: number;
    readonly steps: number;
  };
  readonly tables?: { grid: number; head_dim: number; base: number; cls_token_num: number; output: string }[];
}

/** Every fixture that comes from this file of an original, whatever it is called. */
export function referenceCases(source = "autoregressive/models/gpt.py"): ReferenceCase[] {
  if (!existsSync(referenceRoot)) return [];
  return readdirSync(referenceRoot, { recursive: true, encoding: "utf8" })
    .filter((file) => file.endsWith(".json") && existsSync(join(referenceRoot, file.replace(/json$/, "safetensors"))))
    .sort()
    .map((file) => new ReferenceCase(join(referenceRoot, file)))
    .filter(({ json }) => json.source?.files?.some((file) => file.endsWith(source)));
}

/** Class-conditional cases that hold a tensor of this name. */
export const classConditional = (cases: ReferenceCase[], tensor: string): ReferenceCase[] =>
  cases.filter(({ json }) => json.config?.model_type === "c2i" && Object.hasOwn(json.tensors, tensor));

export class ReferenceCase {
  readonly json: ReferenceJson;
  #tensors: Record<string, TensorData> | undefined;

  constructor(readonly file: string) {
    this.json = JSON.parse(readFileSync(file, "utf8")) as ReferenceJson;
  }

  get name(): string {
    return this.json.case;
  }

  has(name: string): boolean {
    return Object.hasOwn(this.json.tensors, name);
  }

  tensor(name: string): TensorData {
    this.#tensors ??= { ...parseSafetensors(readFileSync(this.file.replace(/json$/, "safetensors"))) };
    const tensor = this.#tensors[name];
    if (tensor === undefined) throw new Error(`${this.name} has no tensor ${name}`);
    return tensor;
  }

  /** int32 tensor of the fixture; the caller's. */
  int32(name: string): tf.Tensor {
    const { data, shape } = this.tensor(name);
    return tf.tensor(data as Int32Array, [...shape], "int32");
  }

  tolerance(group: string): Tolerance {
    const tolerance = this.json.tolerances[group];
    if (tolerance === undefined) throw new Error(`${this.name} states no tolerance for ${group}`);
    return tolerance;
  }

  /** Weights by the hash recipe of the reference; the caller's. */
  params(): Record<string, tf.Tensor> {
    const { seed, weights, weights_case } = this.json;
    if (weights === undefined) {
      return new ReferenceCase(join(dirname(this.file), `${weights_case}.json`)).params();
    }
    return Object.fromEntries(weights.map((recipe) => [recipe.name, hashTensor(seed, recipe)]));
  }
}

/** Element i of a tensor is a function of seed, name and i: see the reference's own description. */
function hashTensor(seed: string, { name, shape, offset, scale }: WeightRecipe): tf.Tensor {
  let hash = 0x811c9dc5;
  for (const byte of new TextEncoder().encode(`${seed}/${name}`)) hash = Math.imul(hash ^ byte, 0x01000193);
  const values = new Float32Array(shape.reduce((a, b) => a * b, 1));
  for (let i = 0; i < values.length; i++) {
    let z = hash + Math.imul(i, 0x9e3779b9);
    z = Math.imul(z ^ (z >>> 16), 0x85ebca6b);
    z = Math.imul(z ^ (z >>> 13), 0xc2b2ae35);
    z = (z ^ (z >>> 16)) >>> 0;
    values[i] = offset + scale * (((z >>> 8) / 2 ** 24) * 2 - 1);
  }
  return tf.tensor(values, shape, "float32");
}
