import { existsSync } from "node:fs";
import { readChecked, writeFileAtomic } from "@tensorar/core/node";
import { z } from "zod";
import { sampleScores } from "./scorer";

/** A trained model, sampled from in one way and compared with the held-out images of a split. */
export const resultRow = z.strictObject({
  dataset: z.string(),
  /** Of the plan, such as `tensorar-finetuned`. */
  name: z.string(),
  model: z.enum(["base", "control", "tensorar"]),
  /** Tokens in one tensor. */
  k: z.int().positive(),
  /** Training windows, in words. */
  inputs: z.string(),
  drafts: z.string(),
  lambda: z.number().optional(),
  temperature: z.number(),
  scale: z.number(),
  seed: z.int(),
  parameters: z.int(),
  /** Of the training, and of its best held-out loss. */
  steps: z.int(),
  bestStep: z.int(),
  split: z.string(),
  /** Cross-entropy of the final token on the split's images, in nats: own drafts, no evidence. */
  heldOutLoss: z.number(),
  /** What true views of other tokens give to tokens without any, in nats. */
  cross: z.number(),
  ...sampleScores.shape,
});

export type ResultRow = z.infer<typeof resultRow>;

const resultsFile = z.strictObject({
  /** What made these rows. */
  about: z.strictObject({
    processor: z.string(),
    features: z.string(),
    /** Of the classifier on real images that it was not trained on. */
    classifier: z.record(z.string(), z.number()),
    /** Real training images, as many as there are held out, scored as samples are: about the best that can be. */
    real: z.record(z.string(), z.number()),
  }),
  rows: z.array(resultRow),
});

/** What `results.json` holds for each data set. */
export const resultsSchema = z.record(z.string(), resultsFile);
export type Results = z.infer<typeof resultsSchema>;

/** Replaces what a file of results says of a data set. */
export async function writeResults(path: string, dataset: string, own: Results[string]): Promise<Results> {
  const before = existsSync(path) ? await readChecked(path, resultsSchema, "results of experiments") : {};
  const results = { ...before, [dataset]: own };
  await writeFileAtomic(path, `${JSON.stringify(results, null, 2)}\n`);
  return results;
}
