import { availableParallelism } from "node:os";
import { weightsFolder } from "@tensorar/core/node";
import { z } from "zod";
import { ENGINE_NAMES } from "../engine/engine";
import { MAX_FILE_MIB, MAX_PIXELS } from "../input/limits";

/** Settings that several commands share; each is described once. */
export const engineSettings = {
  engine: z.enum(ENGINE_NAMES).default("auto").describe("what runs the mathematics"),
  threads: z.int().positive().default(availableParallelism()).describe("threads of the onnx engine"),
};

/** A folder of weights, by path or by name (`emoji/tensorar`); commands get its path. */
export const weights = () => z.string().transform(weightsFolder);

export const overwriteSetting = {
  overwrite: z.boolean().default(false).describe("replace what an earlier run wrote there"),
};

/** Of all commands that read images. */
export const imageSettings = {
  onBadImage: z
    .enum(["error", "skip"])
    .default("error")
    .describe("stop at an image that can't be read, or leave it out and count it"),
  maxPixels: z.int().positive().default(MAX_PIXELS).describe("the most pixels (width times height) of one image"),
  maxFileMib: z.int().positive().default(MAX_FILE_MIB).describe("the largest image file, in MiB"),
};

export const seedSetting = {
  seed: z
    .int()
    .nonnegative()
    .max(2 ** 31 - 1)
    .default(0)
    .describe("the one source of all random numbers"),
};

export const trainingSettings = {
  steps: z.int().positive().describe("optimizer steps in all"),
  batchSize: z.int().positive().default(64).describe("images a step"),
  learningRate: z.number().positive().default(1e-3).describe("constant after the warm-up"),
  warmupSteps: z.int().nonnegative().default(100).describe("steps of linear warm-up"),
  weightDecay: z.number().nonnegative().default(0.05).describe("AdamW decay of matrices"),
  clip: z.number().positive().default(1).describe("largest gradient norm"),
  emaDecay: z
    .number()
    .min(0)
    .lt(1)
    .default(0.999)
    .describe("moving average of the weights, which is what is saved as the model"),
  checkpointEvery: z.int().positive().default(250).describe("steps between checkpoints"),
  precision: z
    .enum(["float32", "float16"])
    .default("float32")
    .describe("number format of the saved model; checkpoints are always float32"),
  logEvery: z.int().positive().default(10).describe("steps between lines of log.jsonl"),
  resume: z.boolean().default(false).describe("continue from the newest checkpoint in --out"),
  ...seedSetting,
  ...engineSettings,
};
