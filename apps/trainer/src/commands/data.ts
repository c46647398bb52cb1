import { resolve } from "node:path";
import type { CommandBody } from "@tensorar/cli";
import { startProgress } from "@tensorar/cli";
import { TensorARError } from "@tensorar/core";
import type { ImageSource } from "@tensorar/data";
import { csvSource, describeLeftOut, folderSource, prepareDataset, webDatasetSource, withTest } from "@tensorar/data";
import type { Settings } from "../declarations/data";
import { emojiSource } from "../emoji";
import { emojiTextSource } from "../emoji-text";
import { imageOptions } from "../image-options";

async function sourceOf(settings: Settings): Promise<ImageSource> {
  const { source, path, testPath, validationFraction } = settings;
  if (source === "emoji") return emojiSource(validationFraction);
  if (source === "emoji-text") return emojiTextSource(validationFraction);
  const images = await imagesAt(settings, "path", path);
  if (testPath.length === 0) return images;
  const both = testPath.find((each) => path.some((other) => resolve(other) === resolve(each)));
  if (both !== undefined)
    throw new TensorARError(`--test-path ${both} is --path too; give test images that are not trained on`);
  return withTest(images, await imagesAt(settings, "test-path", testPath), validationFraction);
}

function imagesAt(settings: Settings, flag: string, paths: readonly string[]): Promise<ImageSource> {
  const { source, classNames } = settings;
  const options = { classNames, maxFileBytes: imageOptions(settings).maxFileBytes };
  if (source === "webdataset") return webDatasetSource(paths, options);
  const [path] = paths;
  if (path === undefined || paths.length > 1)
    throw new TensorARError(`--source ${source} takes one --${flag}, got ${paths.length}`);
  return source === "folder" ? folderSource(path, options) : csvSource(path, options);
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
