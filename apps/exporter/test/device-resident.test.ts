import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openModel } from "@tensorar/onnx";
import {
  type Decoder,
  type DeviceResidentDecoderOptions,
  type DeviceResidentStep,
  deviceResidentDecoder,
  generate,
} from "@tensorar/sampler";
import * as ort from "onnxruntime-node";
import { afterAll, beforeAll, expect, test } from "vitest";
import { benchExport, exportFolders, verifyExport } from "../src/index";
import { openGraph } from "../src/open-graph";
import { openedExport } from "../src/opened-export";
import { randomConditions } from "../src/random-conditions";
import { eagerBackend } from "../src/runtimes";
import { openStepwise } from "../src/stepwise";
import { codes, pairs, prompts, rar, text } from "./tiny-families";
import { backbone, vq, writeModel, writeTinyTokenizer } from "./tiny-folders";
import { hasWebGpu } from "./vulkan";

await eagerBackend();
const providers = hasWebGpu() ? ["cpu", "webgpu"] : ["cpu"];

type NextFactor = NonNullable<DeviceResidentDecoderOptions<unknown>["nextSubToken"]>;

let dir: string;
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), "tensorar resident "));
});
afterAll(() => rm(dir, { recursive: true, force: true }));

async function drawn(decoder: Decoder<unknown>, conditions: readonly unknown[]): Promise<number[]> {
  const loop = generate(decoder, {
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
  return [...event.value.codes];
}

test.each([
  ["llamagen", "float32", backbone],
  ["llamagen", "float16", backbone],
  ["llamagen", "float32", text],
  ["rar", "float32", rar],
  ["janus", "float32", prompts],
  ["magvit2", "float32", pairs],
] as const)(
  "%s in %s with the cache as the step's state draws the codes that it draws with the cache outside",
  { timeout: 600_000 },
  async (kind, weights, config) => {
    const [model, tokenizer, out] = ["model", "tokenizer", "export"].map((name) =>
      join(dir, `${name} ${kind} ${weights} ${config === text}`),
    ) as [string, string, string];
    await writeModel(model, 3, kind, config);
    await writeTinyTokenizer(tokenizer, { ...vq, codebook_size: kind === "magvit2" ? 32 : codes });
    const manifest = await exportFolders(model, tokenizer, out, { weights, target: "webgpu" });
    const { conditioning, conditions } = randomConditions(manifest, 2, 1);
    // Halves need a feature of the device that software lacks.
    for (const provider of weights === "float16" ? ["cpu"] : providers) {
      const sessions = Object.fromEntries(
        Object.entries(manifest.sessions).map(([file, each]) => [
          file,
          { ...each, executionProviders: [provider as "cpu"] },
        ]),
      );
      const outside = await openStepwise(openedExport(out, manifest, ort, sessions), conditioning);
      const step = await openModel(join(out, "decoder-resident.onnx"), {
        runtime: ort,
        providers: [provider],
        state: ["mask", "keys", "values"],
      });
      const next = manifest.factors && (await openGraph(out, "next-factor.onnx", ort, sessions));
      const inside = deviceResidentDecoder({
        ...manifest,
        conditioning,
        run: step as unknown as DeviceResidentStep,
        ...(next && { nextSubToken: next.run as unknown as NextFactor }),
      } as DeviceResidentDecoderOptions<unknown>);
      const found = await drawn(inside, conditions);
      expect(new Set(found).size).toBeGreaterThan(3);
      expect(found, provider).toEqual(await drawn(outside.decoder, conditions));
      expect(await drawn(inside, conditions)).toEqual(found); // a new session begins with an empty cache
      await next?.dispose();
      await step.dispose();
      await outside.dispose();
    }
    const comparisons = await verifyExport(out, ort, { seed: 2, batches: [2], provider: "cpu" });
    expect(comparisons.some(({ file }) => file === "decoder-resident.onnx")).toBe(true);
    for (const { file, output, withinTolerance } of comparisons)
      expect(withinTolerance, `${file} ${output}`).toBe(true);
    const timings = await benchExport(out, ort, { threads: 1, batches: [1, 2], runs: 1, provider: "cpu" });
    expect(timings.filter(({ file }) => file === "decoder-resident.onnx").map(({ batch }) => batch)).toEqual([1, 2]);
  },
);
