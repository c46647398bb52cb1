import { readdir, readFile, stat } from "node:fs/promises";
import { basename, extname, join, relative, resolve, sep } from "node:path";
import { TensorARError } from "@tensorar/core";
import type { ImageSource, SourceEntry } from "./source";

const EXTENSIONS = [".png", ".jpg", ".jpeg", ".webp", ".gif", ".avif", ".tif", ".tiff"];

/**
 * A folder of images with one sub-folder a class, in which images may lie at any depth. Labels follow the sub-folders'
 * names in code-unit order, as in torchvision's ImageFolder. Hidden files and files that are no images are ignored.
 *
 * @throws TensorARError when the folder cannot be read, has no sub-folders, a sub-folder holds no image, or an image
 *   lies outside all of them
 */
export async function folderSource(dir: string): Promise<ImageSource> {
  const { folders, files } = await list(dir);
  const stray = files.find(isImage);
  if (stray !== undefined)
    throw new TensorARError(
      `${stray} lies outside any class; move it into a sub-folder of ${dir} named after its class`,
    );
  if (folders.length === 0)
    throw new TensorARError(`${dir} has no sub-folders; put the images of each class into a sub-folder named after it`);
  const entries: SourceEntry[] = [];
  for (const [label, folder] of folders.entries()) {
    const images = await imagesBelow(folder);
    if (images.length === 0)
      throw new TensorARError(`${folder} holds no image (${EXTENSIONS.join(", ")}); add some or remove the folder`);
    for (const path of images) {
      entries.push({ name: relative(dir, path).split(sep).join("/"), where: path, label, load: () => readFile(path) });
    }
  }
  return {
    name: basename(resolve(dir)),
    classes: folders.map((folder) => basename(folder)),
    attribution: [],
    total: entries.length,
    entries: () => entries,
  };
}

const isImage = (path: string): boolean => EXTENSIONS.includes(extname(path).toLowerCase());

async function imagesBelow(dir: string): Promise<string[]> {
  const { folders, files } = await list(dir);
  const deeper = await Promise.all(folders.map(imagesBelow));
  return [...files.filter(isImage), ...deeper.flat()];
}

/** Paths of what a folder holds, sorted, links followed. */
async function list(dir: string): Promise<{ folders: string[]; files: string[] }> {
  const folders: string[] = [];
  const files: string[] = [];
  try {
    const names = (await readdir(dir)).filter((name) => !name.startsWith(".")).sort();
    for (const path of names.map((name) => join(dir, name))) {
      ((await stat(path)).isDirectory() ? folders : files).push(path);
    }
  } catch (error) {
    throw new TensorARError(
      `${dir}: cannot be read (${(error as Error).message}); give a folder with one sub-folder a class`,
    );
  }
  return { folders, files };
}
