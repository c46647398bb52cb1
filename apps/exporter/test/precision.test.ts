import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { writeSafetensors } from "@tensorar/checkpoint/node";
import { createCategorical, type Decoder, generate } from "@tensorar/sampler";
import * as tf from "@tensorflow/tfjs-core";
import * as ort from "onnxruntime-node";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { comparePrecision, exportFolders, type PrecisionGap, type PrecisionOptions, readManifest } from "../src/index";
import { logitGap } from "../src/logit-gap";
import { openedExport } from "../src/opened-export";
import { realConditions } from "../src/real-conditions";
import { eagerBackend } from "../src/runtimes";
import { openStepwise } from "../src/stepwise";
import { runCli } from "./run-cli";
import { pairs, prompts, rar, text } from "./tiny-families";
import { backbone, vq, writeModel, writeTinyModel, writeTinyTokenizer } from "./tiny-folders";

let dir: string;
const at = (...names: string[]) => join(dir, ...names);
const T = backbone.block_size;

beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), "tensorar precision "));
  await eagerBackend();
  await writeTinyTokenizer(at("tokenizer"));
  await writeTinyModel(at("model"), 3);
  mkdirSync(at("temporary"));
  vi.stubEnv("TMPDIR", at("temporary"));
});
afterAll(() => rm(dir, { recursive: true, force: true }));

/** ONNX Runtime puts files of its own there. */
const leftBehind = () => readdirSync(at("temporary")).filter((name) => name.startsWith("tensorar"));

const compare = (model: string, options: Partial<PrecisionOptions> = {}): Promise<PrecisionGap[]> =>
  comparePrecision(at(model), at("tokenizer"), ort, { weights: ["int8"], images: 3, seed: 5, ...options });

describe("the gap between two rows of logits", () => {
  const gapOf = (expected: number[], actual: number[], uniform: number) => {
    const gap = logitGap();
    gap.add(createCategorical(3), Float32Array.from(expected), Float32Array.from(actual), uniform, "row");
    return gap.result();
  };
  const log = (...values: number[]) => values.map(Math.log);

  test("is that of their distributions", () => {
    // KL((1/2, 1/4, 1/4) ‖ (1/4, 1/4, 1/2)) = 1/2 · log 2 + 1/4 · log 1/2
    const { kl, ...gap } = gapOf(log(2, 1, 1), log(3, 3, 6), 0.4);
    expect(kl).toBeCloseTo(0.25 * Math.LN2, 6);
    expect(gap).toEqual({ ...gap, predictions: 1, sameTop1: 0, sameDrawn: 0 });
    expect(gap.maxAbsError).toBeCloseTo(Math.log(6), 6);
    expect(gapOf(log(2, 1, 1), log(3, 3, 6), 0.2).sameDrawn).toBe(1); // both draw the first code below 1/4
  });

  test("is none for logits that are shifted, and finite for codes that are never drawn", () => {
    expect(gapOf([1, 2, 3], [2, 3, 4], 0.5)).toMatchObject({ maxAbsError: 1, sameTop1: 1, sameDrawn: 1 });
    expect(gapOf([1, 2, 3], [2, 3, 4], 0.5).kl).toBeCloseTo(0, 12);
    expect(gapOf([-2000, 0, 0], [0, 0, 0], 0.5).kl).toBeCloseTo(Math.log(1.5), 12);
    expect(() => gapOf([1, 2, 3], [Number.NaN, 0, 0], 0.5)).toThrow(/row/);
  });
});

test("formats are compared along what the float32 model draws", async () => {
  const gaps = await compare("model", { weights: ["float16", "int8", "int4"] });
  expect(gaps.map(({ weights, of }) => `${weights} ${of}`)).toEqual(
    ["float16", "int8", "int4"].flatMap((weights) => [`${weights} tokens`, `${weights} drafts`]),
  );
  const tokens = gaps.filter(({ of }) => of === "tokens");
  for (const { of, predictions } of gaps) expect(predictions).toBe(3 * (of === "tokens" ? T : T - 1 + T - 2));
  for (const of of ["maxAbsError", "kl"] as const) {
    const [float16, int8, int4] = tokens.map((gap) => gap[of]);
    expect(float16).toBeGreaterThan(0);
    expect(int8).toBeGreaterThan(2 * float16!);
    expect(int4).toBeGreaterThan(2 * int8!);
  }
  expect(tokens[0]!.sameTop1).toBeGreaterThan(0.95);
  expect(tokens[0]!.sameDrawn).toBeGreaterThan(0.95);
  expect(await compare("model")).toEqual(gaps.filter(({ weights }) => weights === "int8"));
  expect(leftBehind()).toEqual([]);
});

/** Every tensor that a decoder is shown, or with `shown` is to be, and the logits that it returns. */
async function record(decoder: Decoder<unknown>, conditions: readonly unknown[], shown?: readonly Int32Array[]) {
  const [windows, logits]: [Int32Array[], Float32Array[]] = [[], []];
  const session = decoder.start(conditions);
  const step = async (window: Int32Array) => {
    windows.push(window.slice());
    logits.push((await session.step(window)).slice());
    return logits.at(-1)!.slice();
  };
  if (shown) for (const window of shown) await step(window);
  else {
    const options = { temperature: 1, topK: 0, topP: 1, seed: 5, drafts: { kind: "raw" } } as const;
    const guidance = { kind: "constant", scale: 1 } as const;
    const loop = generate({ ...decoder, start: () => ({ step }) }, { ...options, guidance, conditions });
    while (!(await loop.next()).done);
  }
  return { windows, logits };
}

test("figures are those of the recorded tensors shown to the other format", async () => {
  await exportFolders(at("model"), at("tokenizer"), at("float32"));
  await exportFolders(at("model"), at("tokenizer"), at("int8"), { weights: "int8" });
  const manifest = await readManifest(at("float32"));
  const { conditioning, conditions } = await realConditions(manifest, 3, undefined);
  expect(conditions).toEqual([0, 1, 2]);
  const open = (name: string) => openStepwise(openedExport(at(name), manifest, ort, manifest.sessions), conditioning);
  const [float32, int8] = [await open("float32"), await open("int8")];
  const expected = await record(float32.decoder, conditions);
  const actual = await record(int8.decoder, conditions, expected.windows);
  const V = backbone.vocab_size;
  let [largest, same] = [0, 0];
  for (const [step, logits] of expected.logits.entries()) {
    for (let image = 0; image < 3; image++) {
      const [mine, others] = [logits, actual.logits[step]!].map((all) =>
        all.subarray(3 * V * image, 3 * V * image + V),
      );
      for (const [code, logit] of mine!.entries()) largest = Math.max(largest, Math.abs(logit - others![code]!));
      if (mine!.indexOf(Math.max(...mine!)) === others!.indexOf(Math.max(...others!))) same++;
    }
  }
  const [tokens] = await compare("model");
  expect(tokens!.maxAbsError).toBe(largest);
  expect(tokens!.sameTop1).toBe(same / (3 * T));
  await float32.dispose();
  await int8.dispose();
});

test("models of other families, by prompts, captions and sub-tokens", async () => {
  await writeModel(at("rar"), 2, "rar", rar);
  await writeModel(at("janus"), 2, "janus", prompts);
  await writeModel(at("text"), 1, "llamagen", text);
  writeFileSync(at("prompts.json"), JSON.stringify([[1, 4, 5], [7]]));
  const [positions, width] = [text.cls_token_num, text.caption_dim!];
  const ones = (...shape: number[]) => ({
    dtype: "float32" as const,
    shape,
    data: new Float32Array(shape.reduce((a, b) => a * b)).fill(1),
  });
  await writeSafetensors(at("captions.safetensors"), { caption: ones(2, positions, width), mask: ones(2, positions) });
  const counts = (gaps: PrecisionGap[]) => gaps.map(({ predictions }) => predictions);
  expect(counts(await compare("rar"))).toEqual([3 * T, 3 * (T - 1)]);
  expect(counts(await compare("janus", { conditions: at("prompts.json") }))).toEqual([3 * T, 3 * (T - 1)]);
  expect(counts(await compare("text", { conditions: at("captions.safetensors") }))).toEqual([3 * T]); // no drafts

  await writeModel(at("pairs"), 2, "magvit2", pairs);
  await writeTinyTokenizer(at("tokenizer of pairs"), { ...vq, codebook_size: 32 });
  const options = { weights: ["int8"], images: 3, seed: 5 } as const;
  const ofPairs = await comparePrecision(at("pairs"), at("tokenizer of pairs"), ort, options);
  expect(counts(ofPairs)).toEqual([2 * 3 * T, 2 * 3 * (T - 1)]);

  await expect(compare("janus")).rejects.toThrow(/takes text; name a file .* with --conditions/);
  await expect(compare("model", { conditions: at("prompts.json") })).rejects.toThrow(
    /takes classes, which need no file/,
  );
  writeFileSync(at("bad.json"), "[[99]]");
  await expect(compare("janus", { conditions: at("bad.json") })).rejects.toThrow(
    /bad\.json: .*\n?.*text tokens below 12/s,
  );
  await writeSafetensors(at("short.safetensors"), { caption: ones(2, positions, 1), mask: ones(2, positions) });
  const short = compare("text", { conditions: at("short.safetensors") });
  await expect(short).rejects.toThrow(`this model takes caption [N, ${positions}, ${width}]`);
  expect(leftBehind()).toEqual([]);
  expect(tf.memory().numTensors).toBe(0);
});

test("the command prints a table, progress and JSON", async () => {
  const folders = ["--model", at("model"), "--tokenizer", at("tokenizer")];
  const json = at("precision.json");
  const { status, stdout, stderr } = await runCli(
    ...["precision", ...folders, "--weights", "int8", "--images", "2", "--json", json],
  );
  expect(status, stderr).toBe(0);
  expect(stdout).toMatch(
    /^weights +predictions +largest logit difference +mean KL +same top-1 code +same code drawn$/m,
  );
  expect(stdout).toMatch(/^int8, tokens +32 +0\.\d+ +\d\.\de-\d +\d+\.\d\d % +\d+\.\d\d %$/m);
  expect(stderr).toMatch(new RegExp(`precision: ${T}/${T} steps .* · int8`));
  expect(JSON.parse(readFileSync(json, "utf8"))).toMatchObject([{ weights: "int8", of: "tokens" }, { of: "drafts" }]);
});
