import { basename, resolve } from "node:path";
import { TensorARError } from "@tensorar/core";
import { readImageFile } from "../files/image-file";
import { IMAGE_EXTENSIONS } from "../files/image-names";
import { createTally, describeLeftOut } from "../files/left-out";
import { listFolder, listImages } from "../files/list-images";
import { DEFAULT_LIMITS, type ImageLimits } from "../limits";
import { classesOf } from "./class-names";
import type { ImageSource, SourceEntry } from "./source";

/** How a folder of images is read. */
export interface FolderOptions extends Partial<Pick<ImageLimits, "maxFileBytes">> {
  /** Text file with the name of class i in line i; classes without a folder have no images. */
  readonly classNames?: string | undefined;
}

/**
 * A folder of images with one sub-folder a class, in which images may lie at any depth. Labels follow the sub-folders'
 * names in natural order, "2" before "10", or the file of class names.
 *
 * @throws TensorARError when the folder cannot be read, has no sub-folders, a sub-folder holds no image, or an image
 *   lies outside all of them
 */
export async function folderSource(dir: string, options: FolderOptions = {}): Promise<ImageSource> {
  const { classNames, maxFileBytes = DEFAULT_LIMITS.maxFileBytes } = options;
  const tally = createTally();
  const { folders, images } = await listFolder(dir, tally);
  if (images[0])
    throw new TensorARError(
      `${images[0].path} lies outside any class; move it into a sub-folder of ${dir} named after its class`,
    );
  if (folders.length === 0)
    throw new TensorARError(
      `${dir} has no sub-folders; put the images of each class into a sub-folder named after it${describeLeftOut(tally.list())}`,
    );
  const names = folders.map(({ name }) => name);
  const classes = await classesOf(names, dir, classNames);
  const labels = new Map(classes.map((name, label) => [name, label]));
  const entries: SourceEntry[] = [];
  for (const folder of folders) {
    const own = createTally();
    const found = await listImages(folder.path, own, folder.name);
    if (found.length === 0)
      throw new TensorARError(
        `${folder.path} holds no image (${IMAGE_EXTENSIONS.join(", ")})${describeLeftOut(own.list())}; add some or remove the folder`,
      );
    tally.merge(own.list());
    const label = labels.get(folder.name)!;
    for (const { path, name } of found)
      entries.push({ name, where: path, label, load: () => readImageFile(path, { maxFileBytes }) });
  }
  return {
    name: basename(resolve(dir)),
    classes,
    attribution: [],
    total: entries.length,
    entries: () => entries,
    leftOut: tally.list,
  };
}
