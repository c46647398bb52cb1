import { TensorARError } from "@tensorar/core";
import { z } from "zod";
import type { CommandDefinition } from "../command";
import { csvSource } from "../data/csv-source";
import { emojiSource } from "../data/emoji";
import { folderSource } from "../data/folder-source";
import { prepareDataset } from "../data/prepare";
import type { ImageSource } from "../data/source";
import { webDatasetSource } from "../data/webdataset-source";
import { startProgress } from "../progress";

const schema = z.strictObject({
  source: z.enum(["emoji", "folder", "webdataset", "csv"]).default("emoji").describe("where the images come from"),
  path: z
    .array(z.string())
    .default([])
    .describe(
      "the folder (one sub-folder a class), the .tar or .tar.gz archives, or the CSV file (image, caption, class)",
    ),
  classNames: z.string().optional().describe("with --source webdataset: text file with one class name a line"),
  size: z.int().positive().default(32).describe("side of the square images, in pixels"),
  validationShare: z.number().gt(0).lt(1).default(0.1).describe("share of the images held out"),
  onBadImage: z
    .enum(["error", "skip"])
    .default("error")
    .describe("stop at an image that can't be read, or leave it out and list it"),
  out: z.string().describe("folder to make"),
});

type Settings = z.infer<typeof schema>;

function onePath({ source, path }: Settings): string {
  if (path.length !== 1) throw new TensorARError(`--source ${source} takes one --path, got ${path.length}`);
  return path[0]!;
}

function sourceOf(settings: Settings): Promise<ImageSource> {
  const { source, path, classNames } = settings;
  if (classNames !== undefined && source !== "webdataset")
    throw new TensorARError(`--class-names ${classNames} belongs to --source webdataset; leave it out`);
  if (source === "folder") return folderSource(onePath(settings));
  if (source === "csv") return csvSource(onePath(settings));
  if (source === "webdataset") return webDatasetSource(path, classNames === undefined ? {} : { classNames });
  if (path.length > 0)
    throw new TensorARError(`--source emoji draws its own images; leave out --path ${path.join(",")}`);
  return emojiSource();
}

export const dataCommand: CommandDefinition<typeof schema.shape> = {
  name: "data",
  description: "prepare images: draw the emoji set, or read folders, WebDataset archives or a CSV",
  schema,
  async run(settings, signal) {
    const source = await sourceOf(settings);
    const progress = startProgress("images", source.total ?? 0);
    const { out, size, validationShare, onBadImage } = settings;
    const info = await prepareDataset(source, {
      out,
      size,
      validationShare,
      onBadImage,
      signal,
      onProgress: (done) => progress.update(done),
    });
    progress.stop();
    for (const { file, reason } of info.skipped) console.log(`left out ${file}: ${reason}`);
    console.log(`${info.count} images of ${size} px in ${info.classes.length} classes written to ${out}`);
  },
};
