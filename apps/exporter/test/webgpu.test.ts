import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { openModel, type TensorData } from "@tensorar/onnx";
import { cachedDecoder, classLabels, generate } from "@tensorar/sampler";
import * as ort from "onnxruntime-node";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { benchExport, exportFolders, readManifest, verifyExport } from "../src/index";
import { eagerBackend } from "../src/runtimes";
import { codes, pairs, prompts, rar, text } from "./tiny-families";
import { backbone, vq, writeModel, writeTinyTokenizer } from "./tiny-folders";
import { hasWebGpu } from "./vulkan";

await eagerBackend();
const missing = hasWebGpu() ? "" : " (skipped: no Vulkan device; CONTRIBUTING.md names a software one)";

const emoji = fileURLToPath(new URL("../../../packages/weights-emoji", import.meta.url));
let dir: string;
const at = (...names: string[]) => join(dir, ...names);
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), "tensorar webgpu "));
});
afterAll(() => rm(dir, { recursive: true, force: true }));

/** The codes that the sampler draws by an export's decoder. */
async function drawn(folder: string, provider: string, conditions: readonly number[]): Promise<number[]> {
  const { tokens, windowSize, vocabSize, cache, unconditionalClass } = await readManifest(folder);
  const step = await openModel(join(folder, "decoder.onnx"), { runtime: ort, providers: [provider] });
  const conditioning = classLabels(unconditionalClass);
  const run = async (inputs: object) => (await step(inputs as never)) as never;
  const loop = generate(cachedDecoder({ tokens, windowSize, vocabSize, cache, conditioning, run }), {
    conditions,
    seed: 3,
    temperature: 1,
    topK: 0,
    topP: 1,
    guidance: { kind: "constant", scale: 2 },
    drafts: { kind: "raw" },
  });
  let event = await loop.next();
  while (!event.done) event = await loop.next();
  await step.dispose();
  return [...event.value.codes];
}

describe.skipIf(missing !== "")(`on a WebGPU device${missing}`, { timeout: 600_000 }, () => {
  test.each([
    ["llamagen", "float32", backbone],
    ["llamagen", "float16", backbone],
    ["llamagen", "int8", backbone],
    ["llamagen", "int4", backbone],
    ["llamagen", "float32", text],
    ["rar", "float32", rar],
    ["janus", "float32", prompts],
    ["magvit2", "float32", pairs],
  ] as const)("%s in %s computes what the eager model does", async (kind, weights, config) => {
    const name = `${kind} ${weights} ${config === text}`;
    await writeModel(at(`model ${name}`), 3, kind, config);
    await writeTinyTokenizer(at(`tokenizer ${kind}`), { ...vq, codebook_size: kind === "magvit2" ? 32 : codes });
    await exportFolders(at(`model ${name}`), at(`tokenizer ${kind}`), at(name), { weights, target: "webgpu" });
    const verifying = verifyExport(at(name), ort, { seed: 6, batches: [2] });
    // Half precision is a feature that devices may lack, as software ones do.
    const comparisons = await verifying.catch((error: Error) => error.message);
    if (typeof comparisons === "string") {
      expect(weights, comparisons).toBe("float16");
      expect(comparisons).toMatch(/requires f16 but the device does not support it/);
      return;
    }
    for (const { file, output, agreement, ...comparison } of comparisons) {
      expect(comparison, `${file} ${output}`).toMatchObject({ withinTolerance: true });
      if (agreement !== null) expect(agreement).toBeGreaterThan(weights === "float32" ? 0.99 : 0.5);
    }
  });

  test("the sampler draws the same emoji as on the processor, and the images decode alike", async () => {
    await exportFolders(join(emoji, "tensorar"), join(emoji, "tokenizer"), at("emoji"), { target: "webgpu" });
    const [device, processor] = [await drawn(at("emoji"), "webgpu", [4]), await drawn(at("emoji"), "cpu", [4])];
    expect(new Set(processor).size).toBeGreaterThan(10);
    expect(device).toEqual(processor);
    const comparisons = await verifyExport(at("emoji"), ort, { seed: 1, batches: [1] });
    expect(comparisons.every(({ withinTolerance }) => withinTolerance)).toBe(true);
    const timings = await benchExport(at("emoji"), ort, { threads: 1, batches: [1], runs: 1 });
    for (const { milliseconds } of timings) expect(milliseconds).toBeGreaterThan(0);
  });

  test("all of generation as one graph draws the same codes as on the processor", async () => {
    await writeModel(at("whole model"), 3, "llamagen", backbone);
    await writeTinyTokenizer(at("whole tokenizer"));
    const options = { target: "webgpu", whole: { topK: 5, topP: 0.9 } } as const;
    await exportFolders(at("whole model"), at("whole tokenizer"), at("whole"), options);
    const ints = (...data: number[]) =>
      ({ dtype: "int32", shape: [data.length], data: Int32Array.from(data) }) as const;
    const inputs = {
      condition: ints(0, 2),
      seed: ints(5, 70000),
      index: ints(0, 1),
      scale: { dtype: "float32", shape: [2], data: Float32Array.of(1.5, 3) },
      temperature: { dtype: "float32", shape: [2], data: Float32Array.of(0.8, 0.8) },
    } as const;
    const results: number[][] = [];
    for (const provider of ["webgpu", "cpu"]) {
      const whole = await openModel(at("whole", "generation.onnx"), { runtime: ort, providers: [provider] });
      const { codes } = (await whole(inputs)) as unknown as { codes: TensorData };
      results.push([...(codes.data as Int32Array)]);
      await whole.dispose();
    }
    const [device, processor] = results as [number[], number[]];
    expect(device).toEqual(processor);
    expect(new Set(processor).size).toBeGreaterThan(3);
  });
});
