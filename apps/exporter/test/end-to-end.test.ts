import { mkdir, mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openModel, type TensorData } from "@tensorar/onnx";
import * as ort from "onnxruntime-node";
import * as web from "onnxruntime-web";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { TINY_T5, writeTinyEncoder } from "../../../packages/text-encoder/test/folders";
import { type ExportOptions, exportFolders, readManifest, verifyExport } from "../src/index";
import { openedExport } from "../src/opened-export";
import { eagerBackend } from "../src/runtimes";
import { generateBothWays } from "../src/verify-generation";
import { encoded, pairs, prompts, rar, text } from "./tiny-families";
import { backbone, vq, writeModel, writeTinyModel, writeTinyTokenizer } from "./tiny-folders";

let dir: string;
const at = (...names: string[]) => join(dir, ...names);
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), "tensorar whole "));
  await eagerBackend();
  await writeTinyTokenizer(at("tokenizer"));
  await writeTinyTokenizer(at("tokenizer magvit2"), { ...vq, codebook_size: 32 });
});
afterAll(() => rm(dir, { recursive: true, force: true }));

const ints = (...data: number[]) => ({ dtype: "int32" as const, shape: [data.length], data: Int32Array.from(data) });

/** Exports with these options and draws the same images in one graph and step by step. */
async function draw(model: string, tokenizer: string, name: string, options: ExportOptions) {
  await exportFolders(model, tokenizer, at(name), options);
  const manifest = await readManifest(at(name));
  const batch = 4;
  const { endToEnd, stepwise } = await generateBothWays(openedExport(at(name), manifest, ort, manifest.sessions), {
    batch,
    seed: 11,
  });
  expect(endToEnd.codes.shape).toEqual([batch, manifest.tokens]);
  expect([...endToEnd.codes.data]).toEqual([...stepwise.codes.data]);
  // Not all of one image, nor all images the same.
  const rows = Array.from({ length: batch }, (_, row) =>
    endToEnd.codes.data.slice(row * manifest.tokens, (row + 1) * manifest.tokens).join(),
  );
  expect(new Set(rows).size).toBe(batch);
  expect(new Set(endToEnd.codes.data as Int32Array).size).toBeGreaterThan(2); // the smallest models know few
  expect(endToEnd.images.shape).toEqual(stepwise.images.shape);
  const images = stepwise.images.data as Float32Array;
  // float32 in another order of sums
  for (const [i, value] of images.entries())
    expect(Math.abs((endToEnd.images.data as Float32Array)[i]! - value)).toBeLessThan(1e-5);
  return manifest;
}

// In ONNX Runtime's own forms the cache is held outside of the loop.
describe.each([undefined, "cpu"] as const)(
  "for target %s, the same seeds draw the same codes as step by step:",
  (target) => {
    const forTarget = target && { target };
    test.each([
      { windowSize: 1, topK: 0, topP: 1 },
      { windowSize: 3, topK: 4, topP: 1 },
      { windowSize: 3, topK: 0, topP: 0.7 },
      { windowSize: 2, topK: 7, topP: 0.9, guidance: { kind: "interval", interval: 5 } },
      { windowSize: 3, topK: 0, topP: 1, drafts: { kind: "raw", temperature: [0.6, 0.9] }, leaveOneOut: 0.8 },
      { windowSize: 4, topK: 0, topP: 1, drafts: { kind: "renoise", temperature: 1.3 } },
      { windowSize: 3, topK: 4, topP: 1, drafts: { kind: "argmax" } },
      { windowSize: 5, topK: 0, topP: 1, drafts: { kind: "noise" } },
    ] as const)("classes, %j", async ({ windowSize, ...whole }) => {
      const model = `model ${JSON.stringify({ windowSize, whole, target })}`.replaceAll(/[^\w ]/g, "-");
      await writeTinyModel(at(model), windowSize);
      await draw(at(model), at("tokenizer"), `${model} export`, { whole, ...forTarget });
    });

    test.each([{ drafts: { kind: "blank" } }, { drafts: { kind: "raw" }, leaveOneOut: 0.3 }] as const)(
      "explicit evidence and blanks, %j",
      async (given) => {
        const name = `explicit ${given.drafts.kind} ${target}`;
        await writeModel(at(name), 3, "llamagen", backbone, { evidence: "explicit", blanks: true });
        const whole = { topK: 0, topP: 1, ...given };
        const { evidence, blanks } = await draw(at(name), at("tokenizer"), `${name} export`, { whole, ...forTarget });
        expect(evidence).toHaveLength(2);
        expect(blanks).toBe(true);
      },
    );

    test("blanks are refused of a model that knows none", async () => {
      await writeTinyModel(at(`no blanks ${target}`), 3);
      const whole = { topK: 0, topP: 1, drafts: { kind: "blank" } } as const;
      const exported = exportFolders(at(`no blanks ${target}`), at("tokenizer"), at(`refused ${target}`), { whole });
      await expect(exported).rejects.toThrow(/trained without blanks/);
    });

    const powerCosine = { kind: "power-cosine", power: 1.5 } as const;
    test.each([
      ["rar", rar, { topK: 0, topP: 1, guidance: powerCosine }],
      ["llamagen", text, { topK: 5, topP: 1 }],
      ["janus", prompts, { topK: 0, topP: 1 }],
      ["llamagen-text", encoded, { topK: 0, topP: 0.9 }],
      ["magvit2", pairs, { topK: [3, 0], topP: [1, 0.8] }],
      ["magvit2", pairs, { topK: 0, topP: 1, guidance: powerCosine }],
      ["magvit2", pairs, { topK: 0, topP: 1, drafts: { kind: "renoise" } }],
      ["magvit2", pairs, { topK: [3, 0], topP: 1, drafts: { kind: "argmax" }, draws: "position" }],
    ] as const)("%s", async (kind, config, whole) => {
      const name = `${kind} ${JSON.stringify(whole).length} ${target}`;
      await writeModel(at(name), 3, kind, config);
      const tokenizer = at(kind === "magvit2" ? "tokenizer magvit2" : "tokenizer");
      await draw(at(name), tokenizer, `${name} export`, { whole, ...forTarget });
    });

    test.each(["float16", "int8", "int4"] as const)("weights in %s", async (weights) => {
      const name = `${weights} ${target}`;
      await writeTinyModel(at(`model ${name}`), 3);
      const options = { weights, whole: { topK: 0, topP: 1 }, ...forTarget };
      await draw(at(`model ${name}`), at("tokenizer"), `export in ${name}`, options);
    });
  },
);

test("verify compares the graph with the export's own steps", async () => {
  await writeModel(at("verified model"), 2, "llamagen", text);
  await exportFolders(at("verified model"), at("tokenizer"), at("verified"), { whole: { topK: 3, topP: 1 } });
  const comparisons = await verifyExport(at("verified"), ort, { seed: 2 });
  const whole = comparisons.filter(({ file }) => file === "generation.onnx");
  expect(whole.map(({ output, batch }) => `${output} ${batch}`)).toEqual([
    "codes 1",
    "images 1",
    "codes 3",
    "images 3",
  ]);
  for (const { withinTolerance, largestValue } of whole) {
    expect(withinTolerance).toBe(true);
    expect(largestValue).toBeGreaterThan(0.05);
  }
});

test.each([undefined, "cpu"] as const)(
  "with the model's text encoder the graph takes tokens, for target %s",
  async (target) => {
    const name = `with encoder ${target}`;
    await writeModel(at(name), 2, "llamagen", { ...text, cls_token_num: 5, caption_dim: TINY_T5.d_model });
    await mkdir(at(name, "text-encoder"));
    await writeTinyEncoder(at(name, "text-encoder"));
    const whole = { topK: 4, topP: 1 };
    await exportFolders(at(name), at("tokenizer"), at(`${name} export`), {
      whole,
      weights: "int8",
      ...(target && { target }),
    });
    const { generation, files } = await readManifest(at(`${name} export`));
    expect(generation).toEqual({ ...whole, textEncoder: { maxLength: 5, below: 8, padding: "left" } });
    const inputs = files["generation.onnx"]!.inputs.map(({ name, shape }) => `${name} ${shape}`);
    expect(inputs.slice(0, 3)).toEqual([
      "condition/tokens batch,5",
      "condition/mask batch,5",
      "condition/dropped batch",
    ]);
    const comparisons = await verifyExport(at(`${name} export`), ort, { seed: 2, batches: [3], maxKl: 10 });
    const drawn = comparisons.filter(({ file }) => file === "generation.onnx");
    expect(drawn.map(({ output, withinTolerance }) => [output, withinTolerance])).toEqual([
      ["codes", true],
      ["images", true],
    ]);

    await rm(at(name, "text-encoder"), { recursive: true });
    await expect(verifyExport(at(`${name} export`), ort, { seed: 2 })).rejects.toThrow(
      /there is no text encoder, with which/,
    );
  },
);

test("without a target the graph draws the same in a browser's runtime, its weights beside it", async () => {
  const name = "browser model";
  await writeTinyModel(at(name), 2);
  await exportFolders(at(name), at("tokenizer"), at("for browsers"), { whole: { topK: 0, topP: 1 } });
  const [graph, weights] = await Promise.all(
    ["generation.onnx", "decoder.onnx.data"].map((file) => readFile(at("for browsers", file))),
  );
  const inputs = {
    condition: ints(1, 2),
    seed: ints(5, 6),
    index: ints(0, 0),
    scale: { dtype: "float32" as const, shape: [2], data: Float32Array.of(2, 3) },
    temperature: { dtype: "float32" as const, shape: [2], data: Float32Array.of(1, 1) },
  };
  const externalData = [{ path: "decoder.onnx.data", data: new Uint8Array(weights!) }];
  const runs = [
    await openModel(new Uint8Array(graph!), { runtime: web, providers: ["wasm"], session: { externalData } }),
    await openModel(at("for browsers", "generation.onnx"), { runtime: ort }),
  ];
  const [inBrowser, native] = await Promise.all(
    runs.map(async (run) => [...((await run(inputs)) as unknown as { codes: TensorData }).codes.data]),
  );
  await Promise.all(runs.map((run) => run.dispose()));
  expect(inBrowser).toEqual(native);
  expect(new Set(inBrowser).size).toBeGreaterThan(2);
});

test("models that can't be guided, and lists that do not fit, are refused", async () => {
  await writeTinyModel(at("no unconditional class"), 1, { class_dropout_prob: 0 });
  const exported = (model: string, whole: ExportOptions["whole"]) =>
    exportFolders(at(model), at("tokenizer"), at("no"), { whole: whole! });
  await expect(exported("no unconditional class", { topK: 0, topP: 1 })).rejects.toThrow(/has no class for none/);
  await writeModel(at("chained"), 2, "llamagen", backbone, { structure: "chained" });
  await expect(exported("chained", { topK: 0, topP: 1 })).rejects.toThrow(
    /chained: an export draws all entries of a tensor at once, .* structure "chained"/,
  );
  await writeTinyModel(at("classes"), 1);
  await expect(exported("classes", { topK: [1, 2], topP: 1 })).rejects.toThrow(/2 values of topK for 1 sub-tokens/);
});
