import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { referenceFiles, requireCases } from "@tensorar/testing";
import { describe, expect, test } from "vitest";
import { createTextTokenizer, padTokens } from "../src";
import { openTextTokenizer } from "../src/node";

interface TokenizerCase {
  readonly case: string;
  readonly folder: string;
  readonly max_length: number;
  readonly prompts: readonly string[];
  readonly input_ids: readonly (readonly number[])[];
  readonly attention_mask: readonly (readonly number[])[];
}

// Expected values: transformers, exact.
const cases = referenceFiles(".json")
  .map((path) => ({ path, ...(JSON.parse(readFileSync(path, "utf8")) as TokenizerCase) }))
  .filter(({ prompts, input_ids }) => Array.isArray(prompts) && Array.isArray(input_ids));
requireCases("tokenizers", cases);

describe.each(cases)("$case", ({ path, folder, max_length, ...expected }) => {
  const files = join(dirname(path), folder);
  const rows = expected.prompts.map((prompt, row) => ({ prompt, row }));

  test.each(rows)("$prompt", async ({ prompt, row }) => {
    const { ids, mask } = padTokens(await openTextTokenizer(files), [prompt], max_length);
    expect([...ids]).toEqual(expected.input_ids[row]);
    expect([...mask]).toEqual(expected.attention_mask[row]);
  });

  test("a batch says which texts were cut", async () => {
    const tokenizer = await openTextTokenizer(files);
    const { ids, truncated, tokens } = padTokens(tokenizer, expected.prompts, max_length);
    expect([...ids]).toEqual(expected.input_ids.flat());
    expect(tokens).toBe(max_length);
    const longer = rows.filter(({ prompt }) => tokenizer.encode(prompt).length > max_length).map(({ row }) => row);
    expect(longer.length).toBeGreaterThan(0);
    expect(truncated).toEqual(longer);
  });
});

const PARTS = {
  model: { type: "BPE", vocab: {}, merges: [] },
  pre_tokenizer: null,
  post_processor: null,
  decoder: null,
};
test.each([
  [{}, {}, /tokenizer\.json: not of a tokenizer \(model = undefined: /],
  [{ model: {} }, { pad_token: 3 }, /tokenizer_config\.json: not of a tokenizer \(pad_token = 3: /],
  [null, {}, /tokenizer\.json/],
  [
    { model: { type: "BPE" }, normalizer: null, pre_tokenizer: null, post_processor: null, decoder: null },
    {},
    /tokenizer\.json: it describes no tokenizer that works.*; take the file of the original repository$/,
  ],
  [
    { ...PARTS, normalizer: { type: { a: 1 } } },
    {},
    /tokenizer\.json: it describes no tokenizer that works; take the file of the original repository$/,
  ],
  [
    { ...PARTS, normalizer: { type: "x".repeat(1e5) } },
    {},
    /it describes no tokenizer that works \(Unknown Normalizer type: x{150,200}\); take/,
  ],
])("%j and %j are refused", (tokenizer, config, message) => {
  expect(() => createTextTokenizer(tokenizer, config)).toThrow(message);
});

test("word-level files name their unknown token themselves", () => {
  const file = {
    version: "1.0",
    truncation: null,
    padding: null,
    added_tokens: [],
    normalizer: null,
    post_processor: null,
    decoder: null,
    pre_tokenizer: { type: "Whitespace" },
    model: { type: "WordLevel", vocab: { "<unk>": 0, cat: 1 }, unk_token: "<unk>" },
  };
  const opened = createTextTokenizer(file, {});
  expect(opened.encode("cat zebra cat")).toEqual([1, 0, 1]);
  expect(opened.unknown).toBe(0);
});
