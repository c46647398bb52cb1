import {
  decimal,
  LARGEST_BATCH,
  onlyWith,
  overwriteSetting,
  positive,
  seedSetting,
  threadsSetting,
  whole,
} from "@tensorar/cli";
import { MAX_FILE_MIB, MAX_PIXELS } from "@tensorar/data/limits";
import { ENGINE_NAMES, SCHEDULES, TRAINING_DEFAULTS } from "@tensorar/training/settings";
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
  ...onlyWith({ engine: ["auto", "onnx"] }, threadsSetting),
};

/** Beside `--lpips`, of which the published file holds a part. */
export const vggSetting = {
  vgg: z.string().optional().describe("weights of torchvision's VGG-16, which vgg.pth needs"),
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
export const codesTrainingSettings = {
  validateEvery: whole(0)
    .default(250)
    .describe("steps between losses on the held-out images, if there are any; the best model is the result. 0: never"),
  ...onlyWith(
    { validateEvery: true },
    {
      patience: whole(1)
        .optional()
        .describe(
          "ends the training after so many losses on held-out images without a better one; never when left out",
        ),
    },
  ),
  dropout: z
    .number()
    .min(0)
    .lt(1)
    .default(0)
    .describe("of embeddings and of what every block adds; LlamaGen's is 0.1. Not for every kind of model"),
  labelSmoothing: z
    .number()
    .min(0)
    .lt(1)
    .default(0)
    .describe("fraction of every target that is spread over all codes, in the loss that is minimized"),
};

/** Of the noise rates, unless they are given one by one. */
const scheduleSettings = {
  noise: z
    .enum(["linear", "sine", "sqrt", "exponential", "none"])
    .default("exponential")
    .describe("schedule of the noise rates β(j)"),
  ...onlyWith(
    { noise: ["exponential"] },
    { noiseRate: positive(1000).optional().describe("rate of the exponential schedule") },
  ),
};

/** Of trainings of TensorAR, which a window of 1 is not. */
export const tensorarSettings = onlyWith(
  { windowSize: { least: 2 } },
  {
    depth: whole(1, LARGEST_DEPTH).default(1).describe("depth of both query transformers"),
    structure: z
      .enum(["maps", "gated", "chained"])
      .default("gated")
      .describe(
        "how the output decoder tells its k states apart; chained: each entry is also given those drawn before it in the same step",
      ),
    evidence: z
      .enum(["explicit", "implicit"])
      .optional()
      .describe(
        "trust in a token's own drafts: a learned number that can be taken back, or inside of the network (the paper). Explicit when left out, but for models of sub-tokens",
      ),
    ...onlyWith({ noiseRates: false }, scheduleSettings),
    noiseRates: z
      .array(z.number().min(0).max(1))
      .min(1)
      .optional()
      .describe("noise rates of depths 1 … k-1, with commas, in place of a schedule"),
    hidden: decimal(1)
      .default(0)
      .describe(
        "fraction of tokens of which no window shows the truth, so that the model learns to read drafts of others",
      ),
    blank: decimal(1)
      .default(0)
      .describe("fraction of noised entries that are left blank, with no code in their place"),
    randomRates: z.boolean().default(false).describe("scales the noise rates of every image by a random number"),
    past: decimal(1).default(0).describe("noise rate of final tokens of the past; 0 in the paper"),
    lossWeights: z
      .array(decimal(1000))
      .optional()
      .describe(
        "weights of the loss at depths 0 … k-1, with commas. When left out: all alike, or 0.3 for drafts in a fine-tuning with explicit evidence",
      ),
  },
);

export const trainingSettings = {
  steps: whole(1).describe("optimizer steps in all"),
  batchSize: whole(1, LARGEST_BATCH).default(TRAINING_DEFAULTS.batchSize).describe("images that are computed at once"),
  gradientAccumulation: whole(1, LARGEST_BATCH)
    .default(TRAINING_DEFAULTS.gradientAccumulation)
    .describe(
      "batches whose gradients are averaged for one step: as many times --batch-size images a step, in the memory of one",
    ),
  learningRate: positive(1000).default(TRAINING_DEFAULTS.learningRate).describe("after the warm-up"),
  schedule: z
    .enum(SCHEDULES)
    .default(TRAINING_DEFAULTS.schedule)
    .describe("learning rate after the warm-up: constant, or down to 0 along half a cosine"),
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
