import type { CommandBody } from "@tensorar/cli";
import { startProgress } from "@tensorar/cli";
import { TensorARError } from "@tensorar/core";
import type { ImageSource } from "@tensorar/data";
import { csvSource, describeLeftOut, folderSource, prepareDataset, webDatasetSource } from "@tensorar/data";
import type { Settings } from "../declarations/data";
import { emojiSource } from "../emoji";
import { emojiTextSource } from "../emoji-text";
import { imageOptions } from "../image-options";

function onePath({ source, path }: Settings): string {
  if (path.length !== 1) throw new TensorARError(`--source ${source} takes one --path, got ${path.length}`);
  return path[0]!;
}

function sourceOf(settings: Settings): Promise<ImageSource> {
  const { source, path, classNames } = settings;
  if (source === "emoji") return emojiSource(settings.validationFraction);
  if (source === "emoji-text") return emojiTextSource(settings.validationFraction);
  const options = { classNames, maxFileBytes: imageOptions(settings).maxFileBytes };
  if (source === "webdataset") return webDatasetSource(path, options);
  return source === "folder" ? folderSource(onePath(settings), options) : csvSource(onePath(settings), options);
}

export const command: CommandBody<Settings> = {
  async run(settings, signal) {
    const source = await sourceOf(settings);
    const progress = startProgress("data", source.total, "images");
    const { output: out, overwrite, size, validationFraction } = settings;
    const info = await prepareDataset(source, {
      out,
      overwrite,
      size,
      validationFraction,
      signal,
      ...imageOptions(settings),
      onProgress: (done) => progress.update(done),
    });
    progress.stop();
    for (const { file, reason } of info.skipped) console.log(`left out ${file}: ${reason}`);
    const counts = describeLeftOut(info.leftOut);
    console.log(`${info.count} images of ${size} px in ${info.classes.length} classes written to ${out}${counts}`);
  },
};
