import { mkdir, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { temporaryFolder } from "../../data/test/data-helpers";
import { writeSamples } from "../../data/test/tiny-samples";
import { openRunFolder } from "../src/report/run-folder";

const root = temporaryFolder();
const DESCRIPTION = { count: 2, imageSize: 1, windowSize: 1, grid: [1, 1] as [number, number], classes: ["a"] };
const ROWS = {
  images: Uint8Array.of(1, 2, 3, 4, 5, 6),
  labels: Int32Array.of(0, 0),
  codes: Int32Array.of(4, 2),
  trace: Int32Array.of(4, 2),
};

test("a run folder with stray files and evaluations that hold less", async () => {
  const run = join(root, "run");
  await mkdir(join(run, "evaluations"), { recursive: true });
  await mkdir(join(run, "samples"));
  await writeSamples(join(run, "samples", "one"), { ...DESCRIPTION, settings: {} }, ROWS);
  await writeFile(join(run, "samples", "notes.txt"), "");
  const evaluation = join(run, "evaluations", "one.json");
  await writeFile(evaluation, JSON.stringify({ settings: {}, inception: { fid: 3 } }));
  expect((await openRunFolder(run)).sets).toMatchObject([{ name: "one", evaluation: {} }]);
  await writeFile(evaluation, JSON.stringify({ frechet: "small" }));
  await expect(openRunFolder(run)).rejects.toThrow(
    /one\.json: not what `tensorar evaluate --output` writes[\s\S]*frechet/,
  );
  await writeFile(evaluation, "");
  await expect(openRunFolder(run)).rejects.toThrow(/one\.json: not valid JSON/);
  await rm(evaluation);
  await mkdir(join(run, "samples", "empty"));
  await expect(openRunFolder(run)).rejects.toThrow(/empty\/manifest\.json: there is no such file/);
});

test("pictures of prompts, where there are any", async () => {
  const run = join(root, "prompted");
  await mkdir(join(run, "samples"), { recursive: true });
  await writeSamples(join(run, "samples", "one"), { ...DESCRIPTION, settings: {} }, ROWS);
  expect((await openRunFolder(run)).prompts).toEqual([]);
  await writeSamples(join(run, "prompts"), { ...DESCRIPTION, settings: {} }, ROWS);
  await writeFile(join(run, "prompts", "grid.png"), Uint8Array.of(1, 2));
  await writeFile(join(run, "prompts", "refinement.png"), Uint8Array.of(3));
  const { prompts } = await openRunFolder(run);
  expect(prompts.map((png) => [...png])).toEqual([[1, 2], [3]]);
  await rm(join(run, "prompts", "manifest.json"));
  await expect(openRunFolder(run)).rejects.toThrow(/prompts\/manifest\.json: there is no such file/);
});

test("evaluations and verifications under earlier names are read", async () => {
  const run = join(root, "earlier");
  await mkdir(join(run, "evaluations"), { recursive: true });
  await mkdir(join(run, "export"));
  await mkdir(join(run, "samples"));
  await writeSamples(join(run, "samples", "one"), { ...DESCRIPTION, settings: {} }, ROWS);
  const scores = { crossEntropy: [3], accuracy: [0.5] };
  const calibration = { noisedTruth: scores, ownDrafts: scores, blanked: scores };
  await writeFile(join(run, "evaluations", "one.json"), JSON.stringify({ calibration }));
  const row = { file: "decoder.onnx", output: "logits", batch: 1, largestValue: 3 };
  await writeFile(join(run, "export", "verification.json"), JSON.stringify([{ ...row, largestDifference: 1e-6 }]));
  const { sets, verification } = await openRunFolder(run);
  expect(sets).toMatchObject([{ evaluation: { draftAblation: calibration } }]);
  expect(verification).toEqual([{ ...row, maxAbsError: 1e-6 }]);
});
