import { defineCommand, onlyWith, overwriteSetting, whole } from "@tensorar/cli";
import { z } from "zod";
import { imageSettings, LARGEST_SIDE } from "./settings";

/** Of sources that are files. */
const fileSettings = {
  path: z
    .array(z.string())
    .default([])
    .describe(
      "the folder (one sub-folder a class), the .tar or .tar.gz archives, or the CSV file (image, caption, class)",
    ),
  testPath: z
    .array(z.string())
    .default([])
    .describe("the same for images that are kept for a test; those of --path are for training and validation then"),
  classNames: z
    .string()
    .optional()
    .describe("text file with one class name a line, in the order of labels; natural order of the names when left out"),
  ...imageSettings,
};

const schema = z.strictObject({
  source: z
    .enum(["emoji", "emoji-text", "folder", "webdataset", "csv"])
    .default("emoji")
    .describe("where the images come from; emoji-text: more emoji, with captions"),
  size: whole(1, LARGEST_SIDE).default(32).describe("side of the square images, in pixels"),
  validationFraction: z
    .number()
    .gt(0)
    .lt(1)
    .default(0.1)
    .describe("fraction of the images held out; of emoji half of them for the test"),
  ...onlyWith({ source: ["folder", "webdataset", "csv"] }, fileSettings),
  output: z.string().describe("folder to make"),
  ...overwriteSetting,
});

export type Settings = z.infer<typeof schema>;

export const dataCommand = defineCommand({
  name: "data",
  description: "prepare images: draw the emoji set, or read folders, WebDataset archives or a CSV",
  schema,
  load: async () => (await import("../commands/data")).command,
});
