import type { SourceEntry } from "@tensorar/data";
import { beforeAll, describe, expect, test } from "vitest";
import { decodeAll } from "../../../packages/data/test/data-helpers";
import { emojiCaptions } from "../src/emoji-captions";
import { emojiTextSource } from "../src/emoji-text";

const STYLES = ["noto", "blob", "fluent", "twemoji", "openmoji", "emojione"];
const TONE = /-(medium-light|medium-dark|light|medium|dark)-skin-tone/;

let entries: SourceEntry[];
let classes: readonly string[];
beforeAll(async () => {
  const source = await emojiTextSource(0.1);
  entries = [...(source.entries(32) as Iterable<SourceEntry>)];
  classes = source.classes!;
  expect(source.total).toBe(entries.length);
});

const split = ({ name }: SourceEntry) => {
  const [style, ...rest] = name.split("/");
  return { style: style!, plain: rest.join("/").replace(TONE, "") };
};
const plainNamesOf = (kind: string) =>
  new Set(entries.flatMap((entry) => (entry.split === kind ? [split(entry).plain] : [])));

describe("emoji with captions", () => {
  test("are more than 15,000 of six styles, each once", () => {
    expect(entries.length).toBeGreaterThan(15_000);
    expect(entries.length).toBeLessThan(20_000);
    expect(new Set(entries.map(({ name }) => name)).size).toBe(entries.length);
    for (const style of STYLES)
      expect(entries.filter(({ name }) => name.startsWith(`${style}/`)).length, style).toBeGreaterThan(1500);
    expect(new Set(classes).size).toBe(classes.length);
    for (const { name, label } of entries) expect(classes[label]!.split("/")[0]).toBe(name.split("/")[0]);
  });

  test("name one icon alike in all sets", () => {
    const stylesOf = (name: string) =>
      STYLES.filter((style) => entries.some((entry) => entry.name === `${style}/${name}`));
    expect(stylesOf("red-heart")).toEqual(STYLES);
    expect(stylesOf("waving-hand-medium-dark-skin-tone")).toEqual(STYLES);
    expect(stylesOf("flag-japan")).toEqual(["blob", "twemoji", "openmoji", "emojione"]);
    expect(stylesOf("police-car-light")).toEqual(["noto", "blob", "fluent", "twemoji", "openmoji", "emojione"]);
  });

  test("show people of one skin tone at most", () => {
    expect(entries.filter(({ name }) => (name.match(new RegExp(TONE, "g")) ?? []).length > 1)).toEqual([]);
  });

  test("are split by name, so that no name is on two sides", () => {
    const [train, validation, held] = [plainNamesOf("train"), plainNamesOf("validation"), plainNamesOf("test")];
    for (const name of [...validation, ...held]) expect(train.has(name), name).toBe(false);
    for (const name of validation) expect(held.has(name), name).toBe(false);
    const all = new Set(entries.map((entry) => split(entry).plain)).size;
    // Binomial, 1 in 20 of about 2,300 names: a standard deviation is 0.5 %.
    expect(validation.size / all).toBeCloseTo(0.05, 1.5);
    expect(held.size / all).toBeCloseTo(0.05, 1.5);
  });

  test("hold combinations out: the style never shows the name in training, two others do", () => {
    const shown = new Map<string, Set<string>>();
    for (const entry of entries) {
      const { style, plain } = split(entry);
      if (entry.split === "train") shown.set(plain, (shown.get(plain) ?? new Set()).add(style));
    }
    const combinations = entries.filter((entry) => entry.split === "combinations");
    expect(combinations.length).toBeGreaterThan(400);
    for (const entry of combinations) {
      const { style, plain } = split(entry);
      expect(shown.get(plain)?.has(style), entry.name).toBe(false);
      expect(shown.get(plain)!.size, entry.name).toBeGreaterThanOrEqual(2);
    }
    expect(new Set(combinations.map((entry) => split(entry).style)).size).toBe(STYLES.length);
  });

  test("are red where the caption says a red heart", async () => {
    const source = await emojiTextSource(0.1);
    const hearts = entries.filter(({ name }) => /^(noto|fluent|twemoji|openmoji)\/red-heart$/.test(name));
    expect(hearts.map(({ caption }) => caption)).toEqual(
      ["noto", "fluent", "twemoji", "openmoji"].map(
        (style) => `${style === "openmoji" ? "an" : "a"} ${style} red heart`,
      ),
    );
    for (const { pixels } of await decodeAll({ ...source, entries: () => hearts }, { size: 32 })) {
      const [r, g, b] = pixels.subarray((14 * 32 + 16) * 3, (14 * 32 + 16) * 3 + 3);
      expect(r).toBeGreaterThan(190);
      expect(Math.max(g!, b!)).toBeLessThan(110);
    }
  });
});

test("captions say style, name, group and colour in several ways", () => {
  expect(emojiCaptions({ style: "openmoji", name: "orange heart", group: "symbol" })).toEqual([
    "an openmoji orange heart",
    "openmoji orange heart",
    "orange heart in openmoji style",
    "an openmoji emoji of an orange heart",
    "openmoji symbol: orange heart",
    "an orange openmoji symbol emoji",
    "an openmoji symbol emoji",
  ]);
  expect(emojiCaptions({ style: "noto", name: "dog face", group: "nature" })).toHaveLength(6);
});
