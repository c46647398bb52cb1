import { cp, mkdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { loadModel } from "@tensorar/model/node";
import { openTextTokenizer } from "@tensorar/text/node";
import { TOKENIZER_KINDS } from "@tensorar/tokenizer";
import { loadTokenizer } from "@tensorar/tokenizer/node";
import { exportFolders, readManifest } from "../../apps/exporter/src/index";
import { eagerBackend } from "../../apps/exporter/src/runtimes";
import { pairs, prompts, rar, text } from "../../apps/exporter/test/tiny-families";
import { backbone, writeModel, writeTinyTokenizer } from "../../apps/exporter/test/tiny-folders";
import { loadCodes } from "../../packages/data/src/codes/codes-folder";
import { openDataset } from "../../packages/data/src/dataset/dataset";
import { writeTinyCodes } from "../../packages/data/test/tiny-codes";
import { loadNewestCheckpoint, saveCheckpoint, shapesOf } from "../../packages/training/src/run/checkpoint";
import { appendLog, readLog } from "../../packages/training/src/run/run-log";
import { expectRight, type Reader } from "../lib/reader";
import { writeDataset } from "./images";
import { samplesReader } from "./samples";

const TEXT_TOKENIZER = fileURLToPath(new URL("../../packages/testing/reference/t5/t5_tokenizer", import.meta.url));

const tensor = (value: number) => ({ dtype: "float32" as const, shape: [4], data: new Float32Array(4).fill(value) });
const trainingState = (step: number) => ({ params: { w: tensor(step) }, firstMoment: { w: tensor(0) } });
/** Damage that a reader passes over is told to the user, not thrown. */
const ignore = () => undefined;

const MODELS = [
  ["llamagen", "llamagen", backbone],
  ["llamagen-text", "llamagen", text],
  ["rar", "rar", rar],
  ["janus", "janus", prompts],
  ["magvit2", "magvit2", pairs],
] as const;

export const folderReaders: readonly Reader[] = [
  {
    name: "model",
    async seeds(dir) {
      for (const [name, kind, config] of MODELS) await writeModel(join(dir, name), 2, kind, config);
    },
    async read(path) {
      const { tensors, grid } = await loadModel(path);
      expectRight(Object.keys(tensors).length > 0 && grid.length === 2, "a model without tensors");
    },
  },
  {
    name: "tokenizer",
    seeds: (dir) => writeTinyTokenizer(join(dir, "vq")),
    async read(path) {
      const { tensors, imageSize } = await loadTokenizer(path, TOKENIZER_KINDS);
      expectRight(Object.keys(tensors).length > 0 && imageSize > 0, "a tokenizer without tensors");
    },
  },
  {
    name: "text-tokenizer",
    seeds: (dir) => cp(TEXT_TOKENIZER, join(dir, "text"), { recursive: true }),
    async read(path) {
      const ids = (await openTextTokenizer(path)).encode("a red cube on a blue sphere", 16);
      expectRight(ids.length <= 16 && ids.every(Number.isInteger), `tokens ${ids}`);
    },
  },
  {
    name: "export",
    async seeds(dir) {
      const [model, tokenizer, whole] = ["model", "tokenizer", "whole"].map((name) => join(dir, name)) as [
        string,
        string,
        string,
      ];
      await eagerBackend();
      await writeModel(model, 2, "llamagen", backbone);
      await writeTinyTokenizer(tokenizer);
      await exportFolders(model, tokenizer, whole, { target: "tensorrt", weights: "float16" });
      await mkdir(join(dir, "export"));
      await cp(join(whole, "config.json"), join(dir, "export", "config.json"));
      for (const folder of [model, tokenizer, whole]) await rm(folder, { recursive: true });
    },
    async read(path) {
      const { grid, tokens } = await readManifest(path);
      expectRight(grid[0] * grid[1] === tokens, `${tokens} tokens of ${grid}`);
    },
  },
  {
    name: "codes",
    seeds: (dir) => writeTinyCodes(join(dir, "codes")),
    async read(path) {
      const { codes, count, grid, vocabSize, labels, classes, train, validation } = await loadCodes(path);
      expectRight(codes.length === count * grid[0] * grid[1], "codes do not fit count and grid");
      expectRight(
        codes.every((code) => code >= 0 && code < vocabSize),
        "a code out of range",
      );
      expectRight(
        labels.every((label) => label >= 0 && label < classes.length),
        "a label out of range",
      );
      expectRight(
        [...train, ...validation].every((row) => row >= 0 && row < count),
        "a row out of range",
      );
    },
  },
  samplesReader,
  {
    name: "dataset",
    seeds: (dir) => writeDataset(dir),
    async read(path) {
      const { count, info, labels, classes, train, validation, readImages } = await openDataset(path);
      expectRight(labels.length === count && train.length + validation.length === count, "rows do not add up");
      expectRight(
        labels.every((label) => label < classes.length),
        "a label out of range",
      );
      const pixels = await readImages([...train, ...validation]);
      expectRight(pixels.length === count * info.size ** 2 * 3, "pixels do not fit");
    },
  },
  {
    name: "training",
    async seeds(dir) {
      const run = join(dir, "run");
      await saveCheckpoint(run, { step: 10, state: trainingState(10) }, undefined);
      await saveCheckpoint(run, { step: 20, state: trainingState(20) }, 10);
      for (let step = 1; step <= 5; step++) await appendLog(run, { step, loss: 1 / step, gradNorm: 2 });
    },
    async read(path) {
      const checkpoint = await loadNewestCheckpoint(path, shapesOf(trainingState(0)), ignore);
      if (checkpoint) {
        expectRight(checkpoint.step === 10 || checkpoint.step === 20, `step ${checkpoint.step}`);
        const { w } = checkpoint.state.params!;
        expectRight(w!.data.length === 4, "other parameters");
      }
      for (const { step } of await readLog(path, ignore))
        expectRight(Number.isInteger(step), `step ${step} in the log`);
    },
  },
];
