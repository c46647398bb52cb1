import { describe, expect, test } from "vitest";
import {
  type ColorsOf,
  countGenEval,
  type Detection,
  type GenEvalPrompt,
  genEvalScores,
  mergeGenEval,
  parseGenEval,
  scoreGenEval,
  summarizeGenEval,
} from "../src";
import { relativePosition } from "../src/geneval/score";

// Expected verdicts follow from the prompts' meaning, on detections made for each case.

const at = (name: string, left: number, top: number, size = 10, score = 0.95): Detection => ({
  class: name,
  box: [left, top, left + size, top + size],
  score,
});
const noColors: ColorsOf = async () => {
  throw new Error("no colour is asked for");
};
const prompt = (line: object): GenEvalPrompt => parseGenEval(JSON.stringify({ prompt: "a photo", ...line }))[0]!;
const correct = async (line: object, detections: Detection[], colors = noColors) =>
  (await scoreGenEval(prompt(line), detections, colors)).correct;

describe("tasks", () => {
  test("single_object: one confident detection is enough, more do not hurt", async () => {
    const line = { tag: "single_object", include: [{ class: "bench", count: 1 }] };
    expect(await correct(line, [at("bench", 0, 0)])).toBe(true);
    expect(await correct(line, [at("bench", 0, 0), at("bench", 50, 0), at("dog", 20, 20)])).toBe(true);
    expect(await correct(line, [at("dog", 0, 0)])).toBe(false);
    expect(await correct(line, [at("bench", 0, 0, 10, 0.3)])).toBe(false); // 0.3 is not above 0.3
    expect(await correct(line, [at("bench", 0, 0, 10, 0.31)])).toBe(true);
  });

  test("two_object: both", async () => {
    const line = { tag: "two_object", include: [{ class: "bottle", count: 1 }, { class: "cat", count: 1 }] }; // biome-ignore format: one row
    expect(await correct(line, [at("bottle", 0, 0), at("cat", 30, 0)])).toBe(true);
    expect(await correct(line, [at("bottle", 0, 0)])).toBe(false);
  });

  test("counting: exactly as many, of detections above 0.9", async () => {
    const line = { tag: "counting", include: [{ class: "bus", count: 3 }], exclude: [{ class: "bus", count: 4 }] };
    const buses = (scores: number[]) => scores.map((score, i) => at("bus", 20 * i, 0, 10, score));
    expect(await correct(line, buses([0.95, 0.95, 0.95]))).toBe(true);
    expect(await correct(line, buses([0.95, 0.95, 0.9]))).toBe(false);
    expect(await correct(line, buses([0.95, 0.95, 0.95, 0.95]))).toBe(false);
    expect(await correct(line, buses([0.95, 0.95, 0.95, 0.8]))).toBe(true);
  });

  test("colors: of the most confident object", async () => {
    const line = { tag: "colors", include: [{ class: "car", count: 1, color: "red" }] };
    const byPlace: ColorsOf = async (objects) => objects.map(({ box }) => (box[0] === 0 ? "red" : "blue"));
    expect(await correct(line, [at("car", 0, 0, 10, 0.9), at("car", 50, 0, 10, 0.8)], byPlace)).toBe(true);
    expect(await correct(line, [at("car", 0, 0, 10, 0.8), at("car", 50, 0, 10, 0.9)], byPlace)).toBe(false);
    const wrong = scoreGenEval(prompt(line), [at("car", 0, 0)], async () => []);
    await expect(wrong).rejects.toThrow(/0 colours for 1 objects/);
  });

  test("position: seen from the earlier object", async () => {
    const line = { tag: "position", include: [{ class: "couch", count: 1 }, { class: "bird", count: 1, position: ["left of", 0] }] }; // biome-ignore format: one row
    expect(await correct(line, [at("couch", 50, 0), at("bird", 0, 0)])).toBe(true);
    expect(await correct(line, [at("couch", 0, 0), at("bird", 50, 0)])).toBe(false);
    const { correct: lone, reasons } = await scoreGenEval(prompt(line), [at("bird", 0, 0)], noColors);
    expect(lone).toBe(false);
    expect(reasons).toEqual(["expected 1 couch, found 0", "there is nothing for bird to be left of"]);
  });

  test("color_attr: each object in its own colour", async () => {
    const line = {
      tag: "color_attr",
      include: [{ class: "table", count: 1, color: "yellow" }, { class: "dog", count: 1, color: "pink" }], // biome-ignore format: one row
    };
    const things = [at("table", 0, 0), at("dog", 50, 0)];
    const painted =
      (table: string, dog: string): ColorsOf =>
      async (_, name) => [name === "dog" ? dog : table];
    expect(await correct(line, things, painted("yellow", "pink"))).toBe(true);
    expect(await correct(line, things, painted("pink", "yellow"))).toBe(false);
  });

  test("of a class at most 16 count", async () => {
    const line = { tag: "counting", include: [{ class: "cup", count: 17 }], exclude: [] };
    expect(
      await correct(
        line,
        Array.from({ length: 30 }, (_, i) => at("cup", 20 * i, 0)),
      ),
    ).toBe(false);
  });
});

test("relative positions: sizes blur small offsets, diagonals are two relations", () => {
  const center = at("a", 100, 100, 20);
  expect(relativePosition(at("b", 0, 100, 20), center)).toEqual(["left of"]);
  expect(relativePosition(at("b", 100, 300, 20), center)).toEqual(["below"]);
  expect(relativePosition(at("b", 0, 0, 20), center)).toEqual(["left of", "above"]);
  expect(relativePosition(at("b", 103, 100, 20), center)).toEqual([]); // within a tenth of both widths, 4
  expect(relativePosition(center, center)).toEqual([]);
});

test("seven columns: tasks count alike, however many images they have", () => {
  const result = (tag: GenEvalPrompt["tag"], right: boolean) => ({ tag, correct: right, reasons: [] });
  const scores = summarizeGenEval([
    ...[true, true, true, false].map((right) => result("single_object", right)),
    ...(["two_object", "counting", "colors", "position"] as const).map((tag) => result(tag, true)),
    result("color_attr", false),
  ]);
  expect(scores).toEqual({
    single_object: 0.75,
    two_object: 1,
    counting: 1,
    colors: 1,
    position: 1,
    color_attr: 0,
    overall: 4.75 / 6,
  });
  expect(summarizeGenEval([result("colors", true)]).overall).toBeNaN();
});

test("counts of parts add up to those of the whole, exactly", () => {
  const tags = ["single_object", "two_object", "counting", "colors", "position", "color_attr"] as const;
  const results = Array.from({ length: 300 }, (_, i) => ({
    tag: tags[(i * i) % 6]!,
    correct: (i * 7) % 3 === 0,
    reasons: [],
  }));
  const parts = [results.slice(0, 11), results.slice(11, 12), results.slice(12)].map(countGenEval);
  const whole = mergeGenEval(parts);
  expect(whole).toEqual(countGenEval(results));
  expect(genEvalScores(whole)).toEqual(summarizeGenEval(results));
  expect(() => mergeGenEval([])).toThrow(/no parts/);
  const wrong = { ...whole, colors: { images: 2, correct: 3 } };
  expect(() => mergeGenEval([whole, wrong])).toThrow(/correct images of colors = 3.*from 0 to 2/);
});

test.each([
  ["no json", /line 1: not valid JSON/],
  ['{"tag": "style", "prompt": "a"}', /tag "style" is unknown; use single_object/],
  ['{"tag": "colors", "include": [{"class": "car"}], "prompt": "a"}', /is no requirement; it has a class and a count/],
  [
    '{"tag": "position", "include": [{"class": "a", "count": 1, "position": ["on", 0]}], "prompt": "a"}',
    /position \["on",0\]/,
  ],
  [
    '{"tag": "position", "include": [{"class": "a", "count": 1, "position": ["above", 0]}], "prompt": "a"}',
    /earlier object/,
  ],
])("%s is refused", (line, message) => {
  expect(() => parseGenEval(line)).toThrow(message);
});

test("detections that are not finite are refused", async () => {
  const line = { tag: "single_object", include: [{ class: "a", count: 1 }] };
  await expect(scoreGenEval(prompt(line), [at("a", Number.NaN, 0)], noColors)).rejects.toThrow(
    /detection 0 has the box \[NaN/,
  );
});
