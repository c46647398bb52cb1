import "@tensorflow/tfjs";
import {
  attachTensorAR,
  type Condition,
  initLlamaGen,
  llamaGen,
  llamaGenConfig,
  type TensorARModel,
} from "@tensorar/model";
import { noiseRates } from "@tensorar/noise";
import { loop, openModel, serializeModel, type TensorData } from "@tensorar/onnx";
import * as tf from "@tensorflow/tfjs-core";
import * as ort from "onnxruntime-node";
import { afterAll, beforeAll, expect, test } from "vitest";
import { classLabels, type DraftPolicy, type Draws, type GenerateOptions, type Guidance, generate } from "../src";
import { type GraphDrafts, type GraphSampling, generationLoop } from "../src/graph";
import { eagerDecoder } from "./eager-decoder";

// Both forms of sampling draw the same codes: `generate` step by step, and its graph in one call. Whoever adds a draft policy or
// a kind of guidance to one of them adds it to the other: the tables below name every kind.

const windowSize = 4;
const rates = [...noiseRates({ kind: "exponential" }, windowSize)];

/** As both take it. */
type Policy =
  | Extract<GraphDrafts, DraftPolicy>
  | { readonly kind: "renoise"; readonly rates: readonly number[]; readonly temperature: number };
const DRAFTS: { readonly [K in DraftPolicy["kind"]]: readonly Extract<Policy, { kind: K }>[] } = {
  raw: [{ kind: "raw" }, { kind: "raw", temperature: [0.6, 0.8, 1.2] }],
  renoise: [{ kind: "renoise", rates: [0, 0.2, 0.9, 0.5], temperature: 1.3 }],
  argmax: [{ kind: "argmax" }],
  noise: [{ kind: "noise" }],
  blank: [{ kind: "blank" }],
};
const GUIDANCE: { readonly [K in Guidance["kind"]]: Omit<Extract<Guidance, { kind: K }>, "scale"> } = {
  constant: { kind: "constant" },
  interval: { kind: "interval", interval: 3 },
  "power-cosine": { kind: "power-cosine", power: 1.5 },
};

const config = llamaGenConfig("GPT-B", {
  dim: 16,
  n_layer: 2,
  n_head: 2,
  multiple_of: 8,
  block_size: 9,
  vocab_size: 11,
  num_classes: 3,
});
const model = attachTensorAR(llamaGen(config), { windowSize, blanks: true }) as unknown as TensorARModel<Condition>;
const { unconditionalClass } = model.backbone;
let params: Record<string, tf.Tensor>;
beforeAll(async () => {
  await tf.setBackend("cpu");
  // Not all zero, as a fresh head would be.
  const head = tf.randomNormal([config.vocab_size, config.dim], 0, 1, "float32", 5);
  params = { ...initLlamaGen(config, 1), ...model.initModules(1), "output.weight": head };
});
afterAll(() => tf.dispose(params));

const classes = [0, 2, 1];
const seeds = [5, 5, 123456];
const scales = [1, 2.5, 4]; // the first is not guided
const TEMPERATURE = 0.9;

/** Of a model that adds no trust in drafts itself. */
const EVIDENCE = [2.5, 1, 0.5];

async function inOneGraph({ evidence, ...sampling }: GraphSampling & Explicit, flushes: boolean): Promise<number[]> {
  const graph = loop("generation", {
    ...generationLoop(model, params, { ...sampling, evidence, noiseRates: rates, flushes }),
    after: ({ carry }) => ({ codes: tf.add(carry.codes, tf.scalar(0, "int32")) }),
    trace: { weights: params },
  });
  const run = await openModel(serializeModel(graph), { runtime: ort });
  const int = (data: readonly number[]) =>
    ({ dtype: "int32", shape: [data.length], data: Int32Array.from(data) }) as const;
  const float = (data: readonly number[]) =>
    ({ dtype: "float32", shape: [data.length], data: Float32Array.from(data) }) as const;
  const outputs = await run({
    condition: int(classes),
    seed: int(seeds),
    index: int(seeds.map(() => 0)),
    scale: float(scales),
    temperature: float(scales.map(() => TEMPERATURE)),
  });
  await run.dispose();
  return Array.from((outputs as { readonly codes: TensorData }).codes.data, Number);
}

interface Explicit {
  readonly evidence?: readonly number[] | undefined;
}

async function stepByStep(
  options: Pick<GenerateOptions, "topK" | "topP" | "guidance" | "drafts" | "draws">,
  { strength, evidence }: { readonly strength: number } & Explicit,
): Promise<number[]> {
  const decoder = eagerDecoder(model, params, classLabels(unconditionalClass));
  const common = {
    conditions: classes,
    seed: seeds,
    scales,
    temperature: TEMPERATURE,
    leaveOneOut: { strength, rates, evidence },
  };
  const steps = generate(decoder, { ...options, ...common });
  let event = await steps.next();
  while (!event.done) event = await steps.next();
  return [...event.value.codes];
}

/** Every policy, kind and filter at least once; which of them meet does not matter, and every graph takes a while. */
const policies: readonly Policy[] = Object.values(DRAFTS).flat();
const LEAVE_ONE_OUT = [0.7, 0, 1];
const DRAWS: readonly Draws[] = ["position", "step"];
const ramps = Object.values(GUIDANCE);
const filters = [
  { topK: 0, topP: 1 },
  { topK: 4, topP: 1 },
  { topK: 0, topP: 0.7 },
  { topK: 7, topP: 0.9 },
];
const cases = policies.map((drafts, i) => ({
  ...filters[i % filters.length]!,
  drafts,
  guidance: ramps[i % ramps.length]!,
  draws: DRAWS[i % DRAWS.length]!,
  leaveOneOut: LEAVE_ONE_OUT[i % LEAVE_ONE_OUT.length]!,
  evidence: i % 2 === 0 ? EVIDENCE : undefined,
  flushes: i === 0,
}));

test.each(cases)("the graph draws the codes of generate: %j", async ({ flushes, ...sampling }) => {
  const { guidance } = sampling;
  const { leaveOneOut: strength, evidence, ...others } = sampling;
  const expected = await stepByStep({ ...others, guidance: { ...guidance, scale: 1 } }, { strength, evidence });
  expect(new Set(expected).size).toBeGreaterThan(3);
  expect(await inOneGraph(sampling, flushes)).toEqual(expected);
});

test("the cases hold every kind of guidance and every filter", () => {
  expect(cases.length).toBeGreaterThanOrEqual(Math.max(ramps.length, filters.length));
});

test("what a graph draws with must fit the model's sub-tokens", () => {
  const options = { topK: [1, 2], topP: 1, noiseRates: rates, flushes: false };
  expect(() => generationLoop(model, params, options)).toThrow("2 values of topK for 1 sub-tokens; give one");
  const one = { topK: 0, topP: 1, noiseRates: rates, flushes: false };
  const raw = { kind: "raw", temperature: [1, 1] } as const;
  expect(() => generationLoop(model, params, { ...one, drafts: raw })).toThrow("2 numbers for windows of 4; give one");
  expect(() => generationLoop(model, params, { ...one, leaveOneOut: 2 })).toThrow("strength 2 is out of range");
  const chained = { ...model, chained: true };
  expect(() => generationLoop(chained, params, one)).toThrow(/draws all entries of a tensor at once.*"chained"/);
});
