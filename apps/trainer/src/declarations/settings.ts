import { decimal, LARGEST_BATCH, overwriteSetting, positive, seedSetting, threadsSetting, whole } from "@tensorar/cli";
import { MAX_FILE_MIB, MAX_PIXELS } from "@tensorar/data/limits";
import { ENGINE_NAMES, TRAINING_DEFAULTS } from "@tensorar/training/settings";
import { z } from "zod";

/** Side of an image, in pixels. */
export const LARGEST_SIDE = 2 ** 14;
/** Widths and sizes of networks, far beyond those of published models. */
export const LARGEST_WIDTH = 2 ** 16;
export const LARGEST_DEPTH = 2 ** 10;

export const batchSizeSetting = (usual: number) => whole(1, LARGEST_BATCH).default(usual).describe("images at a time");

/** Settings that several commands share; each is described once. */
export const engineSettings = {
  engine: z.enum(ENGINE_NAMES).default("auto").describe("what runs the mathematics"),
  ...threadsSetting,
};

/** Of all commands that read images. */
export const imageSettings = {
  onBadImage: z
    .enum(["error", "skip"])
    .default("error")
    .describe("stop at an image that can't be read, or leave it out and count it"),
  maxPixels: whole(1).default(MAX_PIXELS).describe("the most pixels (width times height) of one image"),
  maxFileMib: whole(1).default(MAX_FILE_MIB).describe("the largest image file, in MiB"),
};

/** Of trainings on codes. */
export const validationSetting = {
  validateEvery: whole(1)
    .optional()
    .describe("steps between losses on the held-out images; the best model is kept in best/. Never when left out"),
};

export const trainingSettings = {
  steps: whole(1).describe("optimizer steps in all"),
  batchSize: whole(1, LARGEST_BATCH).default(TRAINING_DEFAULTS.batchSize).describe("images a step"),
  learningRate: positive(1000).default(TRAINING_DEFAULTS.learningRate).describe("constant after the warm-up"),
  warmupSteps: whole(0).default(TRAINING_DEFAULTS.warmupSteps).describe("steps of linear warm-up"),
  weightDecay: decimal(1000).default(TRAINING_DEFAULTS.weightDecay).describe("AdamW decay of matrices"),
  clip: positive(1e9).default(TRAINING_DEFAULTS.clip).describe("largest gradient norm"),
  emaDecay: z
    .number()
    .min(0)
    .lt(1)
    .default(TRAINING_DEFAULTS.emaDecay)
    .describe("moving average of the weights, which is what is saved as the model"),
  checkpointEvery: whole(1).default(TRAINING_DEFAULTS.checkpointEvery).describe("steps between checkpoints"),
  precision: z
    .enum(["float32", "float16"])
    .default("float32")
    .describe("number format of the saved model; checkpoints are always float32"),
  logEvery: whole(1).default(TRAINING_DEFAULTS.logEvery).describe("steps between lines of log.jsonl"),
  resume: z.boolean().default(false).describe("continue from the newest checkpoint in --output"),
  ...overwriteSetting,
  ...seedSetting,
  ...engineSettings,
};
