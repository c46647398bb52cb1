import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { openDataset } from "@tensorar/data";
import { afterAll, beforeAll, beforeEach, expect, test, vi } from "vitest";
import { temporaryFolder } from "../../../packages/data/test/data-helpers";
import { writeTinyDataset } from "../../../packages/data/test/tiny-dataset";
import { writeSamples } from "../../../packages/data/test/tiny-samples";
import { command as classifier } from "../src/commands/classifier";
import { command as evaluate } from "../src/commands/evaluate";
import { classifierCommand } from "../src/declarations/classifier";
import { evaluateCommand } from "../src/declarations/evaluate";

const root = temporaryFolder();
const path = (name: string) => join(root, name);
const lines: string[] = [];
const { signal } = new AbortController();

beforeAll(async () => {
  for (const stream of ["log", "error"] as const)
    vi.spyOn(console, stream).mockImplementation((line: string) => void lines.push(line));
  await writeTinyDataset(path("data"));
});
beforeEach(() => {
  lines.length = 0;
});
afterAll(() => vi.restoreAllMocks());

const train = (settings: Record<string, unknown>) =>
  classifier.run(
    classifierCommand.schema.parse({ data: path("data"), output: path("classifier"), threads: 1, ...settings }),
    signal,
  );

test("a classifier is trained, says how good it is, and scores samples; the results are a row", async () => {
  await train({ steps: 2, widths: [4, 4], hidden: 8, batchSize: 4, shift: 1 });
  expect(lines).toContainEqual(expect.stringMatching(/^unseenClassAccuracy: [01](\.\d+)?$/));
  const { accuracy } = JSON.parse(await readFile(path("classifier/config.json"), "utf8"));
  expect(accuracy).toMatchObject({ unseenScoredImages: (await openDataset(path("data"))).validation.length });

  const { images, labels } = await realImages();
  const rows = { images, labels, codes: new Int32Array(labels.length), trace: new Int32Array(labels.length) };
  const description = { imageSize: 8, windowSize: 1, grid: [1, 1] as [number, number], settings: {} };
  await writeSamples(path("samples"), { ...description, classes: ["even", "odd"], count: labels.length }, rows);
  const flags = { samples: path("samples"), reference: path("data"), classifier: path("classifier"), threads: 1 };
  await evaluate.run(evaluateCommand.schema.parse({ ...flags, output: path("row.json") }), signal);
  const row = JSON.parse(await readFile(path("row.json"), "utf8"));
  expect(row).toMatchObject({
    dataset: "tiny",
    scoredImages: 4,
    images: { samples: { taken: 4 } },
    classifier: accuracy,
  });
  expect([0, 0.25, 0.5, 0.75, 1]).toContain(row.classAccuracy);
  expect(lines).toContainEqual(expect.stringMatching(/^classAccuracy +\S+ {2}higher is better$/));
  const ofTest = evaluateCommand.schema.parse({ ...flags, referenceSplit: "test" });
  await expect(evaluate.run(ofTest, signal)).rejects.toThrow(/--reference-split test: .*data has no such images/);
});

async function realImages() {
  const dataset = await openDataset(path("data"));
  const chosen = Int32Array.of(0, 1, 2, 3);
  return { images: await dataset.readImages(chosen), labels: dataset.labels.slice(0, 4) };
}

test("images that can't be halved so often are refused", async () => {
  await expect(train({ steps: 1, widths: [4, 4, 4, 4, 4], overwrite: true })).rejects.toThrow(
    /--widths 4,4,4,4,4: images of 8 px can't be halved 4 times/,
  );
});
