import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { flags } from "../lib/commands";
import { resultsPage } from "../lib/page";
import { planOf } from "../lib/plan";
import { type ResultRow, writeResults } from "../lib/rows";
import { verdictOf } from "../lib/verdict";

const row = (change: Partial<ResultRow>): ResultRow => ({
  dataset: "emoji",
  name: "control",
  model: "control",
  k: 1,
  inputs: "none",
  drafts: "none",
  temperature: 1,
  scale: 1.5,
  seed: 0,
  parameters: 1_250_000,
  steps: 600,
  bestStep: 50,
  split: "test",
  heldOutLoss: 3.5,
  cross: 0,
  images: 100,
  frechet: 2,
  precision: 0.5,
  recall: 0.6,
  memorised: 0.01,
  ...change,
});

const refining = (change: Partial<ResultRow>) =>
  row({ name: "refining", model: "tensorar", k: 4, inputs: "noise", drafts: "raw", lambda: 1, ...change });

const about = {
  processor: "one",
  features: "two units",
  classifier: { unseenClassAccuracy: 0.75 },
  real: { frechet: 0.5 },
};

test("a difference is one beyond two standard errors of three pairs", () => {
  expect(verdictOf([-1, -1.1, -0.9])).toBe("less");
  expect(verdictOf([1, 1.1, 0.9])).toBe("more");
  expect(verdictOf([-1, 1, 0.5])).toBe("no difference seen");
  expect(verdictOf([-1, -1.001])).toBe("undecided");
});

describe("the page", () => {
  const seeds = [0, 1, 2];

  test("holds means with their errors, and compares each way of drafts with the control of the same seed", () => {
    const rows = seeds.flatMap((seed) => [
      row({ seed, heldOutLoss: 3.5 + seed, frechet: 2 }),
      refining({ seed, heldOutLoss: 3.25 + seed, frechet: 2 + (seed - 1) }),
    ]);
    const page = resultsPage({ emoji: { about, rows } });
    expect(page).toContain("class 75.0 %");
    expect(page).toMatch(/\| control +\| 1\.25 M +\| none +\| 3 +\| 50, 50, 50 +\| 4\.500 ± 0\.577/);
    expect(page).toMatch(/\| real images .*\| 0\.50 /);
    expect(page).toContain("- refining, held-out loss: less (−0.250 ± 0.000, 3 seeds).");
    expect(page).toContain(
      "- refining, drafts raw, λ = 1, Fréchet distance: no difference seen (+0.000 ± 0.577, 3 seeds).",
    );
  });

  test("says of one seed that it is one", () => {
    const page = resultsPage({ emoji: { about, rows: [row({}), refining({ frechet: 1 })] } });
    expect(page).toContain("Fréchet distance: undecided (−1.000, one seed)");
  });
});

describe("the file", () => {
  let dir: string;
  beforeAll(async () => {
    dir = await mkdtemp(join(tmpdir(), "results-"));
  });
  afterAll(() => rm(dir, { recursive: true }));

  test("keeps what it says of other data sets", async () => {
    const path = join(dir, "results.json");
    await writeResults(path, "emoji", { about, rows: [row({})] });
    await writeResults(path, "cifar10", { about, rows: [row({ dataset: "cifar10" })] });
    const results = await writeResults(path, "emoji", { about, rows: [row({ seed: 1 }), row({ seed: 2 })] });
    expect(Object.entries(results).map(([name, { rows }]) => [name, rows.length])).toEqual([
      ["emoji", 2],
      ["cifar10", 1],
    ]);
  });
});

test("plans are flags of commands, and there is none for a data set that is not known", () => {
  expect(flags({ windowSize: 4, noiseRates: [0.1, 0.2], noPng: true })).toEqual([
    "--window-size",
    "4",
    "--noise-rates",
    "0.1,0.2",
    "--no-png",
  ]);
  expect(() => planOf("imagenet", "full")).toThrow('there is no experiment "imagenet"; choose from emoji');
});
