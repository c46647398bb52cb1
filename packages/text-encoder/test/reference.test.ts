import "@tensorflow/tfjs";
import { copyFileSync, readFileSync } from "node:fs";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import type { T5Config } from "@tensorar/model";
import { trace } from "@tensorar/onnx";
import { saveModel } from "@tensorar/onnx/node";
import { int32, toHost } from "@tensorar/program";
import { expectTensor, type ReferenceCase, referenceCases, referenceFiles, requireCases } from "@tensorar/testing";
import { TOKENIZER_FILES } from "@tensorar/text/node";
import * as tf from "@tensorflow/tfjs-core";
import * as runtime from "onnxruntime-node";
import { afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { createTextEncoder, TOKEN_ENCODERS } from "../src";
import { openTextEncoder, saveTextEncoder } from "../src/node";

// Expected values: transformers' T5EncoderModel in float32, moved to the right end as LlamaGen feeds them, at the case's own tolerances.

const cases = referenceCases().filter(({ json, has }) => json.source?.cls === "T5EncoderModel" && has("left_padded"));
requireCases("T5 encoders", cases);
const tokenizers = referenceFiles("tokenizer.json").map((path) => dirname(path));
requireCases("tokenizers", tokenizers);

let folder: string;
beforeAll(async () => {
  await tf.setBackend("cpu");
});
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "tensorar-text-encoder-"));
});
afterEach(() => rm(folder, { recursive: true }));

const hostParams = (fixture: ReferenceCase) => {
  const params = fixture.params();
  const tensors = toHost(params) as Record<string, { dtype: "float32"; shape: number[]; data: Float32Array }>;
  tf.dispose(params);
  return tensors;
};

/** The tokens of a case, under the names 0, 1, 2, …; so that features are tested whatever the tokenizer. */
function tokensOf(fixture: ReferenceCase) {
  const { tokens, lengths } = fixture.json as unknown as { tokens: number; lengths: readonly number[] };
  const ids = fixture.integers("input_ids");
  return {
    maxLength: tokens,
    texts: lengths.map((_, i) => String(i)),
    tokenizer: {
      pad: 0,
      unknown: undefined,
      encode: (text: string) =>
        text === "" ? [] : [...ids.slice(Number(text) * tokens)].slice(0, lengths[Number(text)]),
    },
  };
}

describe.each(cases)("$name", (fixture) => {
  test("features, padded on the left", async () => {
    const { maxLength, texts, tokenizer } = tokensOf(fixture);
    const params = fixture.params();
    const encoder = TOKEN_ENCODERS.t5(fixture.json.config as T5Config);
    const runner = {
      width: encoder.width,
      run: async (ids: { shape: readonly number[]; data: Int32Array }, mask: { data: Int32Array }) => {
        const [B, T] = ids.shape as [number, number];
        const tensors = { ids: tf.tensor2d(ids.data, [B, T], "int32"), mask: tf.tensor2d(mask.data, [B, T], "int32") };
        const made = encoder.encode(params, tensors);
        return { shape: made.shape, data: made.dataSync<"float32">() };
      },
      dispose: async () => tf.dispose(params),
    };
    const { features, mask, truncated } = await createTextEncoder(
      { maxLength, cleanCaptions: false, padding: "left" },
      tokenizer,
      runner,
    ).encode(texts);
    expect([...mask]).toEqual([...fixture.integers("left_padded_mask")]);
    const expected = fixture.expected("left_padded");
    // The original leaves what it computed at padding; the mask that its sampler multiplies with makes that 0.
    const masked = expected.data.map((value, i) => value * mask[Math.floor(i / encoder.width)]!);
    const shape = expected.shape;
    expectTensor("features", { shape, data: features }, { shape, data: masked }, fixture.tolerance("left_padded"));
    expect(truncated).toEqual([]);
  });

  test("a folder, eagerly, compiled and as an ONNX file: the same features", async () => {
    for (const file of TOKENIZER_FILES) copyFileSync(join(tokenizers[0]!, file), join(folder, file));
    const config = fixture.json.config as T5Config;
    const vocabulary = JSON.parse(readFileSync(join(folder, "tokenizer.json"), "utf8")).model.vocab.length;
    const size = { ...config, vocab_size: Math.max(config.vocab_size, vocabulary) };
    const encoder = TOKEN_ENCODERS.t5(size);
    const own = hostParams(fixture);
    const [, D] = encoder.shapes["shared.weight"] as [number, number];
    const table = new Float32Array(size.vocab_size * D);
    table.set(own["shared.weight"]!.data);
    const tensors = {
      ...own,
      "shared.weight": { dtype: "float32" as const, shape: [size.vocab_size, D], data: table },
    };
    const settings = { maxLength: 24, cleanCaptions: false, padding: "left" } as const;
    await saveTextEncoder(folder, { kind: "t5", encoder: size, ...settings, tensors }, "float32");
    const texts = ["a photo of a red heart", "", "small blue star ".repeat(9)];
    const encoded = async (runtimeOptions?: { runtime: typeof runtime; threads: number }) => {
      const opened = await openTextEncoder(folder, runtimeOptions);
      expect([opened.width, opened.maxLength]).toEqual([D, 24]);
      const result = await opened.encode(texts);
      await opened.dispose();
      return result;
    };
    const eager = await encoded();
    expect(eager.empty).toEqual([1]);
    expect(eager.truncated.map(({ text }) => text)).toEqual([2]);
    expect(eager.truncated[0]!.tokens).toBeGreaterThan(24);
    const shape = [texts.length, 24, D];
    // Two orders of the same float32 sums: the case's own tolerance.
    const tolerance = fixture.tolerance("left_padded");
    const compiled = await encoded({ runtime, threads: 2 });
    expectTensor("compiled", { shape, data: compiled.features }, { shape, data: eager.features }, tolerance);
    expect(compiled.mask).toEqual(eager.mask);

    const params = Object.fromEntries(Object.entries(tensors).map(([name, t]) => [name, tf.tensor(t.data, t.shape)]));
    const model = trace(
      ({ input_ids, attention_mask }) => ({
        last_hidden_state: encoder.encode(params, { ids: input_ids, mask: attention_mask }),
      }),
      { input_ids: int32("batch", "tokens"), attention_mask: int32("batch", "tokens") },
      { weights: params },
    );
    tf.dispose(params);
    await saveModel(model, join(folder, "encoder.onnx"));
    const onnx = { kind: "onnx", encoder: { file: "encoder.onnx", width: D }, ...settings };
    await writeFile(join(folder, "config.json"), JSON.stringify(onnx));
    await rm(join(folder, "checksums.txt"));
    const ofFile = await encoded({ runtime, threads: 2 });
    expectTensor("onnx", { shape, data: ofFile.features }, { shape, data: eager.features }, tolerance);
    await expect(openTextEncoder(folder)).rejects.toThrow(/needs ONNX Runtime; choose --engine onnx/);
  });
});
