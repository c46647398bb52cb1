import { underTodaysNames } from "@tensorar/core";
import { z } from "zod";
import { leftOutSchema } from "../files/left-out";
import { SPLITS } from "./split";

/** Files of a prepared data set. */
export const FILES = { info: "dataset.json", samples: "samples.jsonl", images: "images.u8" } as const;
export const CHANNELS = 3;

/** `dataset.json`: what the folder holds. */
export const datasetInfo = z.strictObject({
  format: z.literal("tensorar-dataset-1"),
  name: z.string(),
  /** Height and width in pixels. */
  size: z.int().positive(),
  channels: z.literal(CHANNELS),
  count: z.int().min(2),
  classes: z.array(z.strictObject({ name: z.string(), count: z.int().nonnegative() })).min(1),
  /**
   * Images whose name hashes into the first `validationFraction` of all hashes are for validation; or the source has chosen, and
   * each line of `samples.jsonl` says for what.
   */
  split: z.preprocess(
    underTodaysNames({ validationShare: "validationFraction" }),
    z.strictObject({ by: z.enum(["sha256(name)", "source"]), validationFraction: z.number().gt(0).lt(1) }),
  ),
  attribution: z.array(
    z.strictObject({
      title: z.string(),
      author: z.string(),
      url: z.string(),
      license: z.string(),
      licenseUrl: z.string(),
    }),
  ),
  /** Images that can't be read, each of them. */
  skipped: z.array(z.strictObject({ file: z.string(), reason: z.string() })),
  /** All files that were not taken, these images included, by reason. */
  leftOut: z.array(leftOutSchema).default([]),
});

/** A line of `samples.jsonl`, in the order of the images. */
export const sampleLine = z.strictObject({
  name: z.string(),
  label: z.int().nonnegative(),
  caption: z.string().optional(),
  /** More ways to say the same. */
  otherCaptions: z.array(z.string()).readonly().optional(),
  /** Where the source has chosen. */
  split: z.enum(SPLITS).optional(),
  /** CRC-32 of the image's pixels; checked whenever they are read. */
  crc32: z.int().nonnegative().optional(),
});

/** What `dataset.json` of a data set says. */
export type DatasetInfo = z.infer<typeof datasetInfo>;
export type SampleLine = z.infer<typeof sampleLine>;
