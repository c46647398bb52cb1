import "@tensorflow/tfjs";
import { mkdir, mkdtemp, readFile, rm, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as tf from "@tensorflow/tfjs-core";
import { afterEach, beforeAll, beforeEach, expect, test } from "vitest";
import { encodingNotes, TEXTS_AT_ONCE, type TextEncoder } from "../src";
import { inheritedTextEncoder, openTextEncoder, textEncoderOf, textEncoderPath } from "../src/node";
import { writeTinyEncoder } from "./folders";

let folder: string;
beforeAll(async () => {
  await tf.setBackend("cpu");
});
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "tensorar-text-encoder-"));
});
afterEach(() => rm(folder, { recursive: true }));

/** Features of one text, position by position. */
async function slotsOf(encoder: TextEncoder, texts: readonly string[], text: number) {
  const { features, mask } = await encoder.encode(texts);
  const { maxLength: T, width: D } = encoder;
  return {
    mask: [...mask.subarray(text * T, (text + 1) * T)],
    positions: Array.from({ length: T }, (_, t) => [...features.subarray((text * T + t) * D, (text * T + t + 1) * D)]),
  };
}

test("padding at the right is that at the left, moved", async () => {
  const open = async (padding: "left" | "right") => {
    const dir = join(folder, padding);
    await mkdir(dir);
    await writeTinyEncoder(dir, { padding });
    return openTextEncoder(dir);
  };
  const [left, right] = [await open("left"), await open("right")];
  const [atLeft, atRight] = [await slotsOf(left, ["red heart"], 0), await slotsOf(right, ["red heart"], 0)];
  expect(atLeft.mask).toEqual([0, 0, 1, 1, 1]);
  expect(atRight.mask).toEqual([1, 1, 1, 0, 0]);
  expect(atLeft.positions.slice(2)).toEqual(atRight.positions.slice(0, 3));
  expect(
    atLeft.positions
      .slice(0, 2)
      .flat()
      .every((value) => value === 0),
  ).toBe(true);
  await Promise.all([left.dispose(), right.dispose()]);
});

test("features of a text don't depend on the others, nor on their number", async () => {
  await writeTinyEncoder(folder);
  const before = tf.memory().numTensors;
  const encoder = await openTextEncoder(folder);
  const texts = Array.from({ length: 2 * TEXTS_AT_ONCE + 3 }, (_, i) =>
    ["a", "red", "heart", "blue", "star"].slice(0, i % 5).join(" "),
  );
  const together = await slotsOf(encoder, texts, 13);
  const alone = await slotsOf(encoder, [texts[13]!], 0);
  expect(together.mask).toEqual(alone.mask);
  for (const [t, position] of alone.positions.entries())
    for (const [d, value] of position.entries()) expect(together.positions[t]![d]).toBeCloseTo(value, 5); // sums of float32 in another order
  await encoder.dispose();
  expect(tf.memory().numTensors).toBe(before);
});

test("says what is lost", async () => {
  await writeTinyEncoder(folder);
  const encoder = await openTextEncoder(folder);
  const encoded = await encoder.encode(["a red purple heart", " ", "a a a a a a red", "", "grüne grüne 🫠"]);
  expect(encoded.empty).toEqual([1, 3]);
  expect(encoded.truncated).toEqual([{ text: 2, tokens: 8 }]);
  expect(encoded.unknown).toEqual([
    { text: 0, words: ["purple"] },
    { text: 4, words: ["grüne", "🫠"] },
  ]);
  expect(encodingNotes(encoded, encoder.maxLength)).toEqual([
    "2 texts have no words, which makes images unconditional: text 2, text 4",
    "1 text is cut to the first 5 tokens: text 3 has 8",
    '2 texts have words that the text encoder does not know: "purple", "grüne", "🫠"',
  ]);
  expect(encodingNotes({ empty: [], truncated: [], unknown: [] }, 5)).toEqual([]);
  await encoder.dispose();
});

test("cleans captions where the folder says so", async () => {
  await writeTinyEncoder(folder, { cleanCaptions: true });
  const encoder = await openTextEncoder(folder);
  const { features, unknown } = await encoder.encode(["a <b>Red</b> heart", "a red heart", "https://example.com/"]);
  const size = encoder.maxLength * encoder.width;
  expect(features.subarray(0, size)).toEqual(features.subarray(size, 2 * size));
  expect(unknown).toEqual([]);
  await encoder.dispose();
});

test("stops between batches", async () => {
  await writeTinyEncoder(folder);
  const encoder = await openTextEncoder(folder);
  const reason = new Error("stopped");
  await expect(encoder.encode(["a"], AbortSignal.abort(reason))).rejects.toBe(reason);
  await encoder.dispose();
});

const change = async (edit: (config: Record<string, unknown>) => object) => {
  const path = join(folder, "config.json");
  await writeFile(path, JSON.stringify(edit(JSON.parse(await readFile(path, "utf8")))));
};

test.each<[string, () => Promise<unknown>, RegExp]>([
  [
    "no configuration",
    () => rm(join(folder, "config.json")),
    /config\.json: there is no such file; expected a text encoder/,
  ],
  ["no tokenizer", () => rm(join(folder, "tokenizer.json")), /tokenizer\.json: there is no such file/],
  ["no weights", () => rm(join(folder, "model.safetensors")), /model\.safetensors/],
  ["weights cut short", () => truncate(join(folder, "model.safetensors"), 900), /model\.safetensors/],
  ["another kind", () => change((config) => ({ ...config, kind: "clip" })), /config\.json: not a text encoder .*kind/],
  [
    "no length",
    () => change((config) => ({ ...config, maxLength: 0 })),
    /config\.json: not a text encoder .*maxLength = 0/,
  ],
  [
    "another width",
    () => change((config) => ({ ...config, encoder: { ...Object(config.encoder), d_model: 16 } })),
    /"shared\.weight" has shape \[8,8\], the config asks for \[8,16\]/,
  ],
  [
    "a path for a file",
    () => change((config) => ({ ...config, kind: "onnx", encoder: { file: "../x.onnx", width: 8 } })),
    /config\.json: not a text encoder .*must be the name of an \.onnx file in the folder/,
  ],
])("%s is refused", async (_, damage, message) => {
  await writeTinyEncoder(folder);
  await damage();
  await expect(openTextEncoder(folder)).rejects.toThrow(message);
});

test("a model's folder knows its encoder", async () => {
  const model = join(folder, "models", "base");
  await mkdir(join(model, "text-encoder"), { recursive: true });
  await writeFile(join(model, "config.json"), "{}");
  expect(await textEncoderOf(model)).toBe(join(model, "text-encoder"));
  const finetuned = join(folder, "finetuned");
  expect(await inheritedTextEncoder(model, finetuned)).toEqual({ textEncoder: "../models/base/text-encoder" });

  const elsewhere = join(folder, "t5");
  await mkdir(elsewhere);
  const path = textEncoderPath(elsewhere, model);
  expect(path).toBe("../../t5");
  await writeFile(join(model, "config.json"), JSON.stringify({ textEncoder: path }));
  expect(await textEncoderOf(model)).toBe(elsewhere);
  expect(await inheritedTextEncoder(model, finetuned)).toEqual({ textEncoder: "../t5" });

  await rm(elsewhere, { recursive: true });
  await expect(textEncoderOf(model)).rejects.toMatchObject({
    code: "missing",
    message: expect.stringMatching(
      /t5: there is no text encoder, where "textEncoder" of .*config\.json says.*tensorar convert --from t5/,
    ),
  });
});
