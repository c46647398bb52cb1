import { availableParallelism } from "node:os";
import { z } from "zod";

// Bounds and settings that commands share; each is described once.

/** What 32 bits can count: images, tokens, steps. */
export const MOST = 2 ** 31 - 1;
/** Images or rows that are worked on at a time. */
export const LARGEST_BATCH = 2 ** 16;
/** Threads on each processor; more would only wait for each other. */
const THREADS_A_PROCESSOR = 4;

const processors = availableParallelism();

/** A whole number within bounds, which every number of a command line has. */
export const whole = (least: number, most: number = MOST): z.ZodInt => z.int().min(least).max(most);

/** From 0 to `most`. */
export const decimal = (most: number): z.ZodNumber => z.number().min(0).max(most);
/** More than 0, to `most`. */
export const positive = (most: number): z.ZodNumber => z.number().gt(0).max(most);

/** A value, or a list of several. */
export const oneOrMore = <T extends z.ZodType>(value: T) => z.union([value, z.array(value).min(1)]);

/** `--backbone`, of commands that load models. */
export const backboneSetting = {
  backbone: z
    .string()
    .optional()
    .describe("JavaScript file that exports the backbone of a model of your own, which is run"),
};

/** `--seed`, of commands that draw random numbers. */
export const seedSetting = {
  seed: whole(0).default(0).describe("the one source of all random numbers"),
};

/** `--overwrite`, of commands that write. */
export const overwriteSetting = {
  overwrite: z.boolean().default(false).describe("replace what an earlier run wrote there"),
};

/** `--threads`, of commands that run networks. */
export const threadsSetting = {
  threads: whole(1, THREADS_A_PROCESSOR * processors)
    .default(processors)
    .describe(`threads of ONNX Runtime, at most ${THREADS_A_PROCESSOR} for each processor of this machine`),
};
