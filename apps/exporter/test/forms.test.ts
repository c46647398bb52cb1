import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { ModelFolder } from "@tensorar/model/node";
import { openModel } from "@tensorar/onnx";
import { cachedDecoder, classLabels, type Decoder, generate, type StepOutputs } from "@tensorar/sampler";
import * as ort from "onnxruntime-node";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type ExportManifest, exportFolders, verifyExport } from "../src/index";
import { openedExport } from "../src/opened-export";
import { eagerBackend } from "../src/runtimes";
import { openStepwise } from "../src/stepwise";
import { operatorsOf } from "./operators";
import { codes, pairs, prompts, rar, text } from "./tiny-families";
import { backbone, vq, writeModel, writeTinyTokenizer } from "./tiny-folders";

// What is computed is tested on the processor: ONNX Runtime has all these operators there, and casts where it lacks halves.

const families: [name: string, kind: ModelFolder["kind"], config: ModelFolder["backbone"]][] = [
  ["llamagen", "llamagen", backbone],
  ["text", "llamagen", text],
  ["rar", "rar", rar],
  ["janus", "janus", prompts],
  ["magvit2", "magvit2", pairs],
];
const tokenizerOf = (kind: ModelFolder["kind"]) => at(kind === "magvit2" ? "tokenizer of 32" : "tokenizer");

let dir: string;
const at = (...names: string[]) => join(dir, ...names);
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), "tensorar forms "));
  await eagerBackend();
  await writeTinyTokenizer(at("tokenizer"), { ...vq, codebook_size: codes });
  await writeTinyTokenizer(at("tokenizer of 32"), { ...vq, codebook_size: 32 });
  for (const [name, kind, config] of families) await writeModel(at(name), 3, kind, config);
});
afterAll(() => rm(dir, { recursive: true, force: true }));

const OWN = /^com\.microsoft\/|^\/SimplifiedLayerNormalization$/;
/** Those of ONNX Runtime's own operators that the graphs of an export use. */
function ownOperators(out: string, files: ExportManifest["files"]): Set<string> {
  const own = new Set<string>();
  for (const file of Object.keys(files)) {
    const { operators, domains } = operatorsOf(join(out, file));
    const found = [...operators].filter((each) => OWN.test(each));
    expect(domains.includes("com.microsoft"), file).toBe(found.some((each) => each.startsWith("com.microsoft")));
    for (const each of found) own.add(each.split("/")[1]!);
  }
  return own;
}

const ROTARY = ["RotaryEmbedding"];
const RMS = ["SimplifiedLayerNormalization", "SkipSimplifiedLayerNormalization"];
/** What each family's graphs consist of for GPUs, its image decoder's silu included. */
const EXPECTED: Readonly<Record<string, readonly string[]>> = {
  llamagen: [...RMS, ...ROTARY, "QuickGelu"],
  text: [...RMS, ...ROTARY, "QuickGelu", "FastGelu"],
  rar: ["SimplifiedLayerNormalization", "SkipLayerNormalization", "QuickGelu", "Gelu"],
  janus: [...RMS, ...ROTARY, "QuickGelu", "Gelu"],
  magvit2: [...RMS, ...ROTARY, "QuickGelu"],
};

describe.each(families)("%s", (name, kind) => {
  test.each(["cpu", "cuda", "webgpu", "directml"] as const)(
    "for %s: ONNX Runtime's own operators, equal to the eager model",
    async (target) => {
      const out = at(`${name} for ${target}`);
      const { files } = await exportFolders(at(name), tokenizerOf(kind), out, { target });
      const onlyGpu = (op: string) => target === "cpu" && op.startsWith("Skip");
      expect(ownOperators(out, files)).toEqual(new Set(EXPECTED[name]!.filter((op) => !onlyGpu(op))));
      if (target === "webgpu" || target === "directml") return; // as cuda's
      const comparisons = await verifyExport(out, ort, { seed: 8, provider: "cpu" });
      for (const { file, output, withinTolerance } of comparisons)
        expect(withinTolerance, `${file} ${output}`).toBe(true);
    },
  );

  test.each([undefined, "tensorrt", "coreml"] as const)("for %s: standard operators alone", async (target) => {
    const out = at(`${name} for ${target}`);
    const options = target === undefined ? {} : { target };
    for (const weights of ["float32", "float16"] as const) {
      const { files } = await exportFolders(at(name), tokenizerOf(kind), `${out} ${weights}`, { ...options, weights });
      expect(ownOperators(`${out} ${weights}`, files)).toEqual(new Set());
    }
  });

  test.each(["cuda", "tensorrt"] as const)("in half precision for %s: near the eager model", async (target) => {
    const out = at(`${name} in half for ${target}`);
    const { files, sessions } = await exportFolders(at(name), tokenizerOf(kind), out, { target, weights: "float16" });
    const { inputs, outputs } = files["decoder.onnx"];
    for (const port of [...inputs, ...outputs])
      if (port.dtype !== "int32")
        expect(port.dtype, port.name).toBe(/^(keys|values|rows)/.test(port.name) ? "float16" : "float32");
    const [provider] = sessions["decoder.onnx"]!.executionProviders;
    if (target === "tensorrt")
      expect(provider).toMatchObject({ trt_fp16_enable: true, trt_layer_norm_fp32_fallback: true });
    const comparisons = await verifyExport(out, ort, { seed: 8, provider: "cpu" });
    let predictions = 0;
    for (const { file, output, agreement, maxAbsError, largestValue, quantized } of comparisons) {
      if (file === "image-decoder.onnx" || output === "mask") continue;
      expect(quantized).toBe(true);
      // 11 bits, over two layers: the same bound as of weights that are only stored so.
      expect(maxAbsError / largestValue, `${file} ${output}`).toBeLessThan(0.02);
      if (agreement === null) continue;
      predictions++;
      expect(agreement, `${file} ${output}`).toBeGreaterThan(0.9);
    }
    expect(predictions).toBeGreaterThan(0);
  });
});

test.each([
  ["llamagen", "cuda"],
  ["janus", "cuda"],
  ["llamagen", "tensorrt"],
] as const)("all of %s's generation in half precision for %s draws what its steps draw", async (name, target) => {
  const out = at(`whole ${name} for ${target}`);
  const options = { target, weights: "float16", whole: { topK: 0, topP: 1 } } as const;
  const { files } = await exportFolders(at(name), at("tokenizer"), out, options);
  expect(ownOperators(out, files).size > 0).toBe(target === "cuda");
  const comparisons = await verifyExport(out, ort, { seed: 9, batches: [2], provider: "cpu" });
  const whole = comparisons.filter(({ file }) => file === "generation.onnx");
  expect(whole.map(({ output, withinTolerance }) => [output, withinTolerance])).toEqual([
    ["codes", true],
    ["images", true],
  ]);
});

test("a sampler keeps the cache in halves where the manifest says so, and draws what the export's steps draw", async () => {
  const out = at("halves for a sampler");
  const config = await exportFolders(at("llamagen"), at("tokenizer"), out, { target: "cuda", weights: "float16" });
  expect(config.cache.dtype).toBe("float16");
  const step = await openModel(join(out, "decoder.onnx"), { runtime: ort, providers: ["cpu"] });
  const direct = cachedDecoder({
    ...config,
    conditioning: classLabels(config.unconditionalClass),
    run: async (inputs) => (await step(inputs as never)) as unknown as StepOutputs,
  });
  const sessions = { "decoder.onnx": { executionProviders: ["cpu"], graphOptimizationLevel: "all" } } as const;
  const stepwise = await openStepwise(openedExport(out, config, ort, sessions), classLabels(config.unconditionalClass));
  const draw = async (decoder: Decoder) => {
    const loop = generate(decoder, {
      conditions: [0, 2],
      seed: 4,
      temperature: 1,
      topK: 0,
      topP: 1,
      guidance: { kind: "constant", scale: 2 },
      drafts: { kind: "raw" },
    });
    let event = await loop.next();
    while (!event.done) event = await loop.next();
    return [...event.value.codes];
  };
  const codesDrawn = await draw(direct);
  expect(codesDrawn).toEqual(await draw(stepwise.decoder)); // which widens and narrows the rows, exactly
  expect(new Set(codesDrawn).size).toBeGreaterThan(3);
  const wrong = cachedDecoder({
    ...config,
    cache: { ...config.cache, dtype: "float32" },
    conditioning: classLabels(config.unconditionalClass),
    run: async () => ({
      logits: { dtype: "float32", shape: [4, 3, codes], data: new Float32Array(4 * 3 * codes) },
      rows: { dtype: "float16", shape: [2, 1, 4, 2, 1, 8], data: new Uint16Array(128) },
    }),
  });
  await expect(draw(wrong)).rejects.toThrow(/returns rows in float16, the cache is float32; set cache.dtype/);
  await Promise.all([step.dispose(), stepwise.dispose()]);
});
