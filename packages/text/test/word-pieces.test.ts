import { expect, test } from "vitest";
import { createTextTokenizer, wordPieceTokenizer } from "../src";

const texts = [...Array(6).fill("a red heart"), ...Array(3).fill("a blue heart"), "an octopus, red"];
const open = (size: number) => {
  const { tokenizer, config } = wordPieceTokenizer(texts, size);
  const vocab = (tokenizer as { model: { vocab: Record<string, number> } }).model.vocab;
  const names = Object.keys(vocab).sort((a, b) => vocab[a]! - vocab[b]!);
  const opened = createTextTokenizer(tokenizer, config);
  return { size: names.length, opened, pieces: (text: string) => opened.encode(text).map((id) => names[id]) };
};

test("frequent words are whole, rare and new ones are spelt, in the same way each time", () => {
  const { pieces, size } = open(90);
  // 4 special tokens, 36 letters and digits in two forms, ",", and a piece for every merge: 2 of "red", 4 of "heart", 3 of "blue".
  expect(size).toBe(4 + 72 + 1 + 2 + 4 + 3);
  expect(pieces("a red heart")).toEqual(["[BOS]", "a", "red", "heart", "[EOS]"]);
  expect(pieces("Blue  HEART")).toEqual(["[BOS]", "blue", "heart", "[EOS]"]);
  expect(pieces("rot")).toEqual(["[BOS]", "r", "##o", "##t", "[EOS]"]);
  expect(pieces("héart,")).toEqual(["[BOS]", "heart", ",", "[EOS]"]);
  expect(wordPieceTokenizer(texts, 90)).toEqual(wordPieceTokenizer([...texts].reverse(), 90));
});

test("what has letters that no text has is unknown, what is empty has no inner token", () => {
  const { pieces, opened } = open(90);
  expect(pieces("a 心 heart")).toEqual(["[BOS]", "a", "[UNK]", "heart", "[EOS]"]);
  expect(pieces("مرحبا")).toEqual(["[BOS]", "[UNK]", "[EOS]"]);
  expect(pieces("👩‍🚀")).toContain("[UNK]");
  expect(pieces(" \u0000\n")).toEqual(["[BOS]", "[EOS]"]);
  expect([opened.pad, opened.unknown]).toEqual([0, 1]);
  expect(opened.encode("a red heart", 4)).toEqual(opened.encode("a red"));
});

test("pairs that occur once are not merged, so that a vocabulary may stay smaller", () => {
  const { size, pieces } = open(1000);
  expect(size).toBeLessThan(110);
  expect(pieces("an")).toEqual(["[BOS]", "a", "##n", "[EOS]"]);
});

test("a size that does not hold the characters is refused, with the one that does", () => {
  expect(() => wordPieceTokenizer(texts, 70)).toThrow("a vocabulary of 70 tokens is too small");
});

test("a token without a number in the vocabulary is an error, and not a hole", () => {
  const { tokenizer, config } = wordPieceTokenizer(texts, 90);
  const { model } = tokenizer as { model: { vocab: Record<string, number> } };
  const { "[UNK]": _, ...vocab } = model.vocab;
  const added = { added_tokens: [] };
  const opened = createTextTokenizer({ ...(tokenizer as object), ...added, model: { ...model, vocab } }, config);
  expect(() => opened.encode("a 心 heart")).toThrow(/has no number in it; take the file of the original repository/);
});
