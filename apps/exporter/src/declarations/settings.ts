import { backboneSetting, LARGEST_BATCH, weights, whole } from "@tensorar/cli";
import { TARGETS } from "@tensorar/manifest";
import { z } from "zod";

// Settings that several commands share; each is described once.

export const sourceSettings = {
  model: weights().describe("model folder (base or TensorAR)"),
  tokenizer: weights("tokenizer").describe("tokenizer folder"),
  ...backboneSetting,
};

export const providerSetting = {
  provider: z
    .enum(TARGETS)
    .optional()
    .describe("runtime to run on; the one that the export was made for when left out"),
};

export const batchSetting = (...usual: readonly number[]) => ({
  batch: z
    .array(whole(1, LARGEST_BATCH))
    .default([...usual])
    .describe("batch sizes"),
});
