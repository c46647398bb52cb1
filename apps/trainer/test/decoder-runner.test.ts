import type { TensorData } from "@tensorar/checkpoint";
import { janus, llamaGen, type ModelDescription, magvit2Ar, modelOf, rar, textLlamaGen } from "@tensorar/model";
import {
  type Caption,
  type Conditioning,
  captionFeatures,
  classLabels,
  type Guidance,
  generate,
  promptTokens,
} from "@tensorar/sampler";
import "@tensorflow/tfjs";
import { type ReferenceCase, referenceCases, requireCases } from "@tensorar/testing";
import { chooseEngine, hostParams } from "@tensorar/training";
import * as tf from "@tensorflow/tfjs-core";
import { beforeAll, expect, test } from "vitest";
import { openDecoder } from "../src/decoder-runner";

// Prefill, steps and sub-tokens compiled for any batch and any prompt: the tokens of the originals' greedy runs, exact.

beforeAll(async () => {
  await tf.setBackend("cpu");
});

interface Run {
  readonly cfg_scale?: number | number[];
  readonly cfg_weight?: number;
  readonly cfg_interval?: number;
  readonly guidance_scale?: number;
  readonly guidance_scale_pow?: number;
  readonly output?: string;
  readonly pre?: string;
  readonly post?: string;
}

const ints = (fixture: ReferenceCase, name: string): number[] => Array.from(fixture.tensor(name).data as Int32Array);

function rowsOf(fixture: ReferenceCase, name: string): Float32Array[] {
  const { data, shape } = fixture.tensor(name);
  const size = data.length / shape[0]!;
  return Array.from({ length: shape[0]! }, (_, row) =>
    Float32Array.from(data.slice(row * size, (row + 1) * size), Number),
  );
}

const constant = (scale: number): Guidance => ({ kind: "constant", scale: Math.max(1, scale) });

interface Family {
  readonly kind: Exclude<ModelDescription["kind"], "own">;
  readonly source: string;
  /** Conditions of a fixture, and the backbone's unconditional class where there is one. */
  conditions(fixture: ReferenceCase): {
    readonly conditioning: Conditioning<never>;
    readonly conditions: readonly unknown[];
  };
  guidance(run: Run): Guidance | Guidance[];
}

const ofClasses = (fixture: ReferenceCase, nullClass: number, name: string) => ({
  conditioning: classLabels(nullClass) as unknown as Conditioning<never>,
  conditions: ints(fixture, name),
});

const families: Family[] = [
  {
    kind: "llamagen",
    source: "autoregressive/models/gpt.py",
    conditions(fixture) {
      const { config } = fixture.json;
      if (config.model_type === "c2i") return ofClasses(fixture, llamaGen(config).unconditionalClass, "labels");
      const masks = rowsOf(fixture, "emb_masks");
      const captions = rowsOf(fixture, "caption").map((caption, row): Caption => {
        const mask = masks[row]!;
        return {
          mask,
          features: caption.map((value, i) => value * mask[Math.floor((i / caption.length) * mask.length)]!),
        };
      });
      return { conditioning: captionFeatures as unknown as Conditioning<never>, conditions: captions };
    },
    guidance: ({ cfg_scale, cfg_interval }) => ({
      kind: "interval",
      scale: cfg_scale as number,
      interval: cfg_interval!,
    }),
  },
  {
    kind: "rar",
    source: "modeling/rar.py",
    conditions: (fixture) => ofClasses(fixture, rar(fixture.json.config as never).unconditionalClass, "classes"),
    guidance: ({ guidance_scale: scale = 0, guidance_scale_pow: power = 1 }) =>
      scale > 0 ? { kind: "power-cosine", scale, power } : constant(1),
  },
  {
    kind: "magvit2",
    source: "Open_MAGVIT2/modules/transformer/gpt.py",
    conditions: (fixture) => ofClasses(fixture, magvit2Ar(fixture.json.config as never).unconditionalClass, "classes"),
    guidance: ({ cfg_scale }) => (cfg_scale as number[]).map(constant),
  },
  {
    kind: "janus",
    source: "generation_inference.py (loop re-stated)",
    conditions: (fixture) => ({
      conditioning: promptTokens(
        (fixture.json.config as unknown as { pad_id: number }).pad_id,
      ) as unknown as Conditioning<never>,
      conditions: rowsOf(fixture, "prompt_rows")
        .filter((_, row) => row % 2 === 0)
        .map((row) => Array.from(row)),
    }),
    guidance: ({ cfg_weight }) => constant(cfg_weight!),
  },
];

const cases = families.flatMap((family) =>
  referenceCases(family.source)
    .filter(({ json }) => (json.generate?.length ?? 0) > 0)
    .map((fixture) => ({ name: fixture.name, family, fixture })),
);
requireCases("greedy runs", cases);

const forms = [false, true].flatMap((parallel) => cases.map((each) => ({ ...each, parallel })));

test.each(forms)("$name, compiled, by Jacobi decoding: $parallel", async ({ family, fixture, parallel }) => {
  const backbone = fixture.json.config;
  const shapes: Record<Family["kind"], () => Readonly<Record<string, unknown>>> = {
    llamagen: () => llamaGen(backbone).shapes,
    rar: () => rar(backbone as never).shapes,
    magvit2: () => magvit2Ar(backbone as never).shapes,
    janus: () => janus(backbone as never).shapes,
    "llamagen-text": () => textLlamaGen(backbone as never).shapes,
  };
  const wanted = shapes[family.kind]();
  const tensors: Record<string, TensorData> = hostParams(
    Object.fromEntries(Object.entries(fixture.params()).filter(([name]) => Object.hasOwn(wanted, name))),
  );
  const description = {
    kind: family.kind,
    backbone,
    noiseRates: [0],
    grid: [1, 1],
    classes: [],
    tensorar: { windowSize: 1, depth: 1, structure: "maps" },
  } as unknown as ModelDescription;
  const folder = { ...description, tensors, model: modelOf(description) };
  const { conditioning, conditions } = family.conditions(fixture);
  const { decoder, dispose } = await openDecoder(folder, conditioning, await chooseEngine("onnx", { threads: 2 }), {
    parallel,
  });
  try {
    const runs = (fixture.json.generate as unknown as (Run & { emb_masks?: boolean })[]).filter(
      ({ emb_masks }) => emb_masks !== false, // masks of ones are another condition; tested with the sampler
    );
    expect(runs.length).toBeGreaterThan(0);
    for (const run of runs) {
      const sampling = { seed: 0, temperature: 1, topK: 1, topP: 1, guidance: family.guidance(run) };
      const loop = generate(decoder, { ...sampling, conditions: conditions as never[], parallel: parallel ? 3 : 1 });
      let result = await loop.next();
      while (!result.done) result = await loop.next();
      const [first = 0] = decoder.factors ?? [];
      const codes = Array.from(result.value.codes);
      if (run.output !== undefined) expect(codes).toEqual(ints(fixture, run.output));
      else expect(codes).toEqual(ints(fixture, run.pre!).map((pre, i) => pre + first * ints(fixture, run.post!)[i]!));
    }
  } finally {
    await dispose();
  }
});
