import { readFileSync } from "node:fs";
import { referenceFiles, requireCases } from "@tensorar/testing";
import { describe, expect, test } from "vitest";
import { cleanCaption } from "../src";

interface CaptionSet {
  readonly case: string;
  readonly rows?: readonly { readonly caption: string; readonly cleaned: string }[];
}

// What LlamaGen's own code made of these captions.
const sets = referenceFiles(".json")
  .map((path) => JSON.parse(readFileSync(path, "utf8")) as CaptionSet)
  .filter(({ rows }) => Array.isArray(rows) && rows.every((row) => typeof row.cleaned === "string"));
requireCases("cleaned captions", sets);

describe.each(sets)("$case", ({ rows }) => {
  test.each(rows!)("$caption", ({ caption, cleaned }) => expect(cleanCaption(caption)).toBe(cleaned));
});

// By reading the original's rules.
test.each([
  ["a &lt;b&gt;heart", "a heart"],
  ["a <script>alert(1)</script>cat", "a cat"],
  ["caf%C3%A9 au lait", "café au lait"],
  ["ﬁsh & ﬂag", "fish flag"],
  ["line one\r\nline two", "line one line two"],
])("%j", (caption, cleaned) => expect(cleanCaption(caption)).toBe(cleaned));

// Some rules take the square of the length; so a limit keeps hostile captions from taking minutes.
test.each(["a.", "-", "1:", "<b>", "free ", "www.", "a1", '"', "%", "&", "@"])("a megabyte of %j ends", (part) => {
  const begun = performance.now();
  cleanCaption(part.repeat(2 ** 20 / part.length));
  expect(performance.now() - begun).toBeLessThan(10_000); // a tenth of a second on a quiet machine
});
