import "@tensorflow/tfjs";
import {
  attachTensorAR,
  type JanusConfig,
  janus,
  llamaGen,
  type Magvit2ArConfig,
  magvit2Ar,
  type RarConfig,
  rar,
} from "@tensorar/model";
import { type ReferenceCase, referenceCases, requireCases } from "@tensorar/testing";
import * as tf from "@tensorflow/tfjs-core";
import { afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import {
  type Caption,
  captionFeatures,
  classLabels,
  type Decoder,
  type GenerateOptions,
  type Guidance,
  generate,
  promptTokens,
} from "../src";
import { eagerDecoder } from "./eager-decoder";

// Expected values: tokens of the originals' greedy runs, exact.

beforeAll(async () => {
  await tf.setBackend("cpu");
});
beforeEach(() => tf.engine().startScope());
afterEach(() => tf.engine().endScope());

/** Greedy runs: top-k 1 keeps the argmax code alone, whatever else is set. */
async function greedy<C>(
  decoder: Decoder<C>,
  options: Pick<GenerateOptions<C>, "conditions"> & { guidance: GenerateOptions["guidance"] },
) {
  const loop = generate(decoder, { seed: 0, temperature: 1, topK: 1, topP: 1, drafts: { kind: "raw" }, ...options });
  let result = await loop.next();
  while (!result.done) result = await loop.next();
  return result.value.codes;
}

const constant = (scale: number): Guidance => ({ kind: "constant", scale: Math.max(1, scale) });
const numbers = (fixture: ReferenceCase, name: string): number[] => Array.from(fixture.tensor(name).data as Int32Array);

/** Rows of a tensor [N, ...]. */
function rowsOf(fixture: ReferenceCase, name: string): Float32Array[] {
  const { data, shape } = fixture.tensor(name);
  const size = data.length / shape[0]!;
  return Array.from({ length: shape[0]! }, (_, row) => (data as Float32Array).slice(row * size, (row + 1) * size));
}

const runsOf = <Run>(source: string) => {
  const cases = referenceCases(source).filter(({ json }) => json.generate !== undefined);
  requireCases(`runs of ${source}`, cases);
  return cases.flatMap((fixture) => (fixture.json.generate as unknown as Run[]).map((run) => ({ fixture, run })));
};

interface RarRun {
  readonly guidance_scale: number;
  readonly guidance_scale_pow: number;
  readonly output: string;
}

describe("RAR", () => {
  test.each(runsOf<RarRun>("modeling/rar.py"))("$fixture.name, $run", async ({ fixture, run }) => {
    const backbone = rar(fixture.json.config as unknown as RarConfig);
    const model = attachTensorAR(backbone, { windowSize: 1 });
    const decoder = eagerDecoder(model, fixture.params(), classLabels(backbone.unconditionalClass));
    const { guidance_scale: scale, guidance_scale_pow: power } = run;
    const guidance: Guidance = scale > 0 ? { kind: "power-cosine", scale, power } : constant(1);
    const codes = await greedy(decoder, { conditions: numbers(fixture, "classes"), guidance });
    expect([...codes]).toEqual(numbers(fixture, run.output));
  });
});

interface CaptionRun {
  readonly cfg_scale: number;
  readonly cfg_interval: number;
  readonly emb_masks: boolean;
  readonly output: string;
}

describe("LlamaGen with captions", () => {
  const runs = runsOf<CaptionRun>("autoregressive/models/gpt.py").filter(
    ({ fixture }) => fixture.json.config?.model_type === "t2i",
  );
  test.each(runs)("$fixture.name, $run", async ({ fixture, run }) => {
    const backbone = llamaGen(fixture.json.config as typeof fixture.json.config & { readonly model_type: "t2i" });
    const model = attachTensorAR(backbone, { windowSize: 1 });
    const masks = rowsOf(fixture, "emb_masks");
    const conditions = rowsOf(fixture, "caption").map((caption, row): Caption => {
      const mask = masks[row]!;
      const features = caption.map((value, i) => value * mask[Math.floor((i / caption.length) * mask.length)]!);
      return { features, mask: run.emb_masks ? mask : mask.map(() => 1) };
    });
    const decoder = eagerDecoder(model, fixture.params(), captionFeatures);
    const guidance: Guidance = { kind: "interval", scale: run.cfg_scale, interval: run.cfg_interval };
    const codes = await greedy(decoder, { conditions, guidance });
    expect([...codes]).toEqual(numbers(fixture, run.output));
  });
});

interface FactorRun {
  readonly cfg_scale: number[];
  readonly pre: string;
  readonly post: string;
}

describe("Open-MAGVIT2", () => {
  const runs = runsOf<FactorRun>("Open_MAGVIT2/modules/transformer/gpt.py");
  test.each(runs)("$fixture.name, $run", async ({ fixture, run }) => {
    const backbone = magvit2Ar(fixture.json.config as unknown as Magvit2ArConfig);
    const model = attachTensorAR(backbone, { windowSize: 1 });
    const decoder = eagerDecoder(model, fixture.params(), classLabels(backbone.unconditionalClass));
    const guidance = run.cfg_scale.map(constant);
    const codes = await greedy(decoder, { conditions: numbers(fixture, "classes"), guidance });
    const [first] = backbone.factors!.sizes;
    expect(Array.from(codes, (code) => code % first!)).toEqual(numbers(fixture, run.pre));
    expect(Array.from(codes, (code) => Math.floor(code / first!))).toEqual(numbers(fixture, run.post));
  });
});

interface JanusRun {
  readonly cfg_weight: number;
  readonly output: string;
}

describe("Janus-Pro", () => {
  const runs = runsOf<JanusRun>("generation_inference.py (loop re-stated)");
  test.each(runs)("$fixture.name, $run", async ({ fixture, run }) => {
    const config = fixture.json.config as unknown as JanusConfig;
    const model = attachTensorAR(janus(config), { windowSize: 1 });
    const rows = rowsOf(fixture, "prompt_rows"); // conditional and unconditional in turn
    const conditions = rows.filter((_, row) => row % 2 === 0).map((row) => Array.from(row));
    const conditioning = promptTokens(config.pad_id);
    expect(conditions.map(conditioning.unconditional)).toEqual(
      rows.filter((_, row) => row % 2 === 1).map((row) => Array.from(row)),
    );
    const decoder = eagerDecoder(model, fixture.params(), conditioning);
    const codes = await greedy(decoder, { conditions, guidance: constant(run.cfg_weight) });
    expect([...codes]).toEqual(numbers(fixture, run.output));
  });
});
