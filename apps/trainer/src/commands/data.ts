import { TensorARError } from "@tensorar/core";
import type { CommandBody } from "../command";
import { csvSource } from "../data/csv-source";
import { emojiSource } from "../data/emoji";
import { folderSource } from "../data/folder-source";
import { prepareDataset } from "../data/prepare";
import type { ImageSource } from "../data/source";
import { webDatasetSource } from "../data/webdataset-source";
import type { Settings } from "../declarations/data";
import { startProgress } from "../progress";

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

export const command: CommandBody<Settings> = {
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
