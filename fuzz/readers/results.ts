import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { writeSafetensors } from "@tensorar/checkpoint/node";
import { createMoments, GENEVAL_TASKS } from "@tensorar/metrics";
import { realConditions } from "../../apps/exporter/src/real-conditions";
import { readLines } from "../../packages/data/src/files/read-lines";
import { readColorsFile } from "../../packages/evaluation/src/geneval/colors-file";
import { classesOf, readDetectorFile } from "../../packages/evaluation/src/geneval/detector-file";
import { readPrompts } from "../../packages/evaluation/src/geneval/images";
import {
  type GenEvalReport,
  mergeResults,
  openResults,
  reportOf,
  writeResults,
} from "../../packages/evaluation/src/geneval/results";
import { genEvalPage } from "../../packages/evaluation/src/report/geneval-page";
import { openRunFolder } from "../../packages/evaluation/src/report/run-folder";
import { mergeSums, metricsOf, writeSums } from "../../packages/evaluation/src/statistics/reconstruction";
import {
  mergeStatistics,
  readStatistics,
  writeStatistics,
} from "../../packages/evaluation/src/statistics/statistics-file";
import { loadCaptions } from "../../packages/training/src/conditions/captions";
import { expectRight, type Reader } from "../lib/reader";
import { writeTinySamples } from "./samples";

const json = (path: string, value: unknown): Promise<void> => writeFile(path, JSON.stringify(value, null, 2));
const lines = (path: string, values: readonly unknown[]): Promise<void> =>
  writeFile(path, values.map((value) => `${JSON.stringify(value)}\n`).join(""));

function momentsOf(dims: number, rows: number) {
  const moments = createMoments(dims);
  moments.add(Float32Array.from({ length: dims * rows }, (_, i) => Math.sin(i * i)));
  return moments.result();
}

const RECIPE = { images: "images", detector: { model: "a.onnx" }, colors: null };
const RESULTS = GENEVAL_TASKS.map((tag, i) => ({
  image: `0000${i}/samples/0000.png`,
  prompt: `a photo, ${tag}`,
  tag,
  correct: i % 2 === 0,
  reasons: i % 2 === 0 ? [] : ["expected 1, found 0"],
  size: [8, 8] as const,
  objects: [{ class: "dog", box: [0, 0, 4, 4] as const, score: 0.9, color: "red" }],
}));
const scores = { crossEntropy: [1.5, 2], accuracy: [0.5, null] };
const PREPROCESSING = { size: [8, 8], resize: { filter: "bilinear" }, mean: [0, 0, 0], std: [1, 1, 1], layout: "NCHW" };

export const resultReaders: readonly Reader[] = [
  {
    name: "statistics",
    async seeds(dir) {
      const pooled = momentsOf(3, 8);
      await writeStatistics(join(dir, "statistics.npz"), {
        count: 8,
        pooled,
        spatial: momentsOf(2, 8),
        notes: [],
        score: {
          classes: 2,
          splitSize: 5000,
          first: 0,
          counts: Float64Array.of(8),
          marginals: Float64Array.of(3, 5),
          logs: Float64Array.of(-2),
        },
        features: { data: new Float32Array(8 * 3).fill(1), count: 8, dims: 3 },
      });
    },
    async read(path) {
      const statistics = await readStatistics(path);
      if (!statistics) return;
      const { mean, covariance } = statistics.pooled;
      expectRight(covariance.length === mean.length ** 2, "mean and covariance do not fit");
      await mergeStatistics([path], 4);
    },
  },
  {
    name: "reconstruction",
    async seeds(dir) {
      const mean = (sum: number) => ({ count: 8, sum });
      const moments = { originals: momentsOf(3, 8), reconstructions: momentsOf(3, 8) };
      const means = { psnr: mean(200), ssim: mean(6), lpips: mean(2) };
      await writeSums(join(dir, "sums.npz"), { means, codes: Float64Array.of(3, 5, 0), moments });
    },
    async read(path) {
      const { images, codebook } = metricsOf(await mergeSums([path]));
      expectRight(Number.isSafeInteger(images) && images > 0, `${images} images`);
      expectRight(codebook.used <= codebook.size, "more codes used than there are");
    },
  },
  {
    name: "geneval-results",
    async seeds(dir) {
      const out = join(dir, "results");
      await mkdir(out);
      await openResults(out, RECIPE, false);
      await lines(join(out, "images.jsonl"), RESULTS);
      await writeResults(out, reportOf(RECIPE, RESULTS as unknown as GenEvalReport["images"], []));
    },
    async read(path) {
      await openResults(path, RECIPE, true);
      const report = await mergeResults([path]);
      expectRight((await genEvalPage(report, [])).includes("<html"), "no page");
    },
  },
  {
    name: "geneval-prompts",
    async seeds(dir) {
      const include = [
        { class: "dog", count: 1, color: "red" },
        { class: "cat", count: 2, position: ["left of", 0] },
      ];
      await lines(join(dir, "evaluation_metadata.jsonl"), [
        { tag: "single_object", include: [{ class: "bench", count: 1 }], prompt: "a photo of a bench" },
        { tag: "position", include, exclude: [{ class: "cat", count: 3 }], prompt: "two cats left of a red dog" },
      ]);
    },
    async read(path) {
      expectRight((await readPrompts(path)).length > 0, "no prompts");
    },
  },
  {
    name: "detector",
    async seeds(dir) {
      const folder = join(dir, "detector");
      await mkdir(folder);
      const outputs = { kind: "boxes", boxes: "boxes", labels: "labels", scores: "scores" };
      await json(join(folder, "detector.json"), {
        model: "a.onnx",
        preprocessing: PREPROCESSING,
        outputs,
        classes: "names.txt",
        input: "image",
      });
      await writeFile(join(folder, "names.txt"), "dog\ncat\n\nbench\n");
    },
    async read(path) {
      const file = join(path, "detector.json");
      expectRight((await classesOf(file, await readDetectorFile(file))).length > 0, "no classes");
    },
  },
  {
    name: "colors",
    seeds: (dir) =>
      json(join(dir, "colors.json"), {
        image: { model: "a.onnx", output: "features", token: 0, preprocessing: PREPROCESSING },
        text: { model: "b.onnx", output: "features", tokenizer: "clip", length: 77 },
      }),
    async read(path) {
      await readColorsFile(path);
    },
  },
  {
    name: "run-folder",
    async seeds(dir) {
      const run = join(dir, "run");
      for (const folder of ["samples", "evaluations", "export", "training/base"])
        await mkdir(join(run, folder), { recursive: true });
      await writeTinySamples(join(run, "samples", "base"));
      await json(join(run, "evaluations", "base.json"), {
        settings: {},
        frechet: 3.5,
        precision: 0.5,
        recall: 0.25,
        refinement: { flipRate: 0.1, draftAccuracy: [0.5, null], grid: [2, 2] },
        draftAblation: { noisedTruth: scores, ownDrafts: scores, blanked: scores },
      });
      await lines(join(run, "training", "base", "log.jsonl"), [
        { step: 1, loss: 2.5 },
        { step: 2, loss: 2.25 },
      ]);
      const row = { file: "decoder.onnx", output: "logits", batch: 1, maxAbsError: 1e-6, largestValue: 3 };
      await json(join(run, "export", "verification.json"), [row]);
      await json(join(run, "export", "timings.json"), [{ file: "decoder.onnx", batch: 1, milliseconds: 3 }]);
      await json(join(run, "commands.json"), [{ command: "tensorar demo", seconds: 2 }]);
    },
    async read(path) {
      const { sets, logs } = await openRunFolder(path);
      expectRight(sets.length > 0, "no samples");
      for (const { entries } of logs)
        for (const { step } of entries) expectRight(typeof step === "number", `step ${step}`);
    },
  },
  {
    name: "prompts",
    seeds: (dir) => writeFile(join(dir, "prompts.txt"), "a red cube\n\nun café\na blue sphere on a table\n"),
    async read(path) {
      const prompts = await readLines(path);
      expectRight(prompts.length > 0 && prompts.every((each) => !each.includes("\ufffd")), "damaged text");
    },
  },
  {
    name: "captions",
    async seeds(dir) {
      const tensor = (...shape: number[]) => {
        const data = new Float32Array(shape.reduce((a, b) => a * b)).fill(1);
        return { dtype: "float32" as const, shape, data };
      };
      await writeSafetensors(join(dir, "captions.safetensors"), { caption: tensor(2, 3, 4), mask: tensor(2, 3) });
    },
    async read(path) {
      const captions = await loadCaptions(path, { caption: { dtype: "float32", shape: [3, 4] } });
      expectRight(
        captions.every(({ features, mask }) => features.length === 12 && mask.length === 3),
        "do not fit",
      );
    },
  },
  {
    name: "exporter-prompts",
    seeds: (dir) => json(join(dir, "prompts.json"), [[1, 2, 3], [4]]),
    async read(path) {
      const sizes = {
        condition: { prompt: { dtype: "int32", shape: ["prompt"], below: 12 } },
        classes: [],
        unconditionalClass: -1,
        padId: 2,
      };
      const { conditions } = await realConditions(sizes as never, 3, path);
      expectRight(
        conditions.every((prompt) => Array.from(prompt as ArrayLike<number>).every((token) => token < 12)),
        "a token out of range",
      );
    },
  },
];
