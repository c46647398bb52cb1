import { readFile } from "node:fs/promises";
import { basename } from "node:path";
import { TensorARError } from "@tensorar/core";
import type { ImageSource, SourceEntry } from "./source";
import { readTar, type TarFile } from "./tar-files";

const IMAGE_EXTENSIONS = ["jpg", "jpeg", "png", "webp"];
/** Without a list of names, a larger class index is taken for a mistake. */
const MOST_UNNAMED_CLASSES = 65_536;

export interface WebDatasetOptions {
  /** Text file with the name of class i in line i. Without it classes are named by their index. */
  readonly classNames?: string;
}

/**
 * WebDataset archives (.tar or .tar.gz): files that share a key follow one another; of each key are read `KEY.jpg`
 * (or jpeg, png, webp), `KEY.cls` (the class index in ASCII) and, where present, `KEY.txt` (the caption).
 *
 * @throws TensorARError naming archive and file, when an archive is truncated, a sample lacks its image or class, or a
 *   class index is no number or out of range
 */
export async function webDatasetSource(
  archives: readonly string[],
  options: WebDatasetOptions = {},
): Promise<ImageSource> {
  if (archives.length === 0)
    throw new TensorARError("webDatasetSource: no archives given; name at least one .tar or .tar.gz file");
  const classes = options.classNames === undefined ? undefined : await readClassNames(options.classNames);
  return {
    name: archiveName(archives[0]!),
    ...(classes && { classes }),
    attribution: [],
    async *entries() {
      for (const archive of archives) {
        for await (const group of groups(archive)) yield entryOf(archive, group, classes);
      }
    },
  };
}

const archiveName = (archive: string): string => basename(archive).replace(/\.(tar|tgz|tar\.gz)$/i, "");

interface Group {
  readonly key: string;
  /** Contents by extension. */
  readonly files: ReadonlyMap<string, Uint8Array>;
}

/** The key is the path up to the first dot of the file's name, as in the webdataset library. */
function splitPath(path: string): { key: string; extension: string } {
  const dot = path.indexOf(".", path.lastIndexOf("/") + 1);
  return dot < 0
    ? { key: path, extension: "" }
    : { key: path.slice(0, dot), extension: path.slice(dot + 1).toLowerCase() };
}

async function* groups(archive: string): AsyncGenerator<Group> {
  const wanted = (path: string): boolean => {
    const { key, extension } = splitPath(path);
    return basename(key) !== "" && [...IMAGE_EXTENSIONS, "cls", "txt"].includes(extension);
  };
  let current: { key: string; files: Map<string, Uint8Array> } | undefined;
  for await (const { path, contents } of readTar(archive, wanted) as AsyncIterable<TarFile>) {
    const { key, extension } = splitPath(path);
    if (key !== current?.key) {
      if (current) yield current;
      current = { key, files: new Map() };
    }
    current.files.set(extension, contents);
  }
  if (!current) throw new TensorARError(`${archive}: no samples; expected files such as 00000.jpg and 00000.cls`);
  yield current;
}

function entryOf(archive: string, { key, files }: Group, classes: readonly string[] | undefined): SourceEntry {
  const extension = IMAGE_EXTENSIONS.find((each) => files.has(each));
  const together = "the files of a sample must follow one another in the archive";
  if (extension === undefined)
    throw new TensorARError(`${archive}: ${key} has no image (${IMAGE_EXTENSIONS.join(", ")}); ${together}`);
  const cls = files.get("cls");
  if (!cls)
    throw new TensorARError(`${archive}: ${key}.${extension} has no ${key}.cls with its class index; ${together}`);
  const caption = files.get("txt");
  const image = files.get(extension)!;
  return {
    name: `${archiveName(archive)}/${key}`,
    where: `${archive}: ${key}.${extension}`,
    label: parseLabel(`${archive}: ${key}.cls`, text(cls), classes),
    ...(caption && { caption: text(caption) }),
    load: async () => image,
  };
}

const text = (bytes: Uint8Array): string => new TextDecoder().decode(bytes).trim();

function parseLabel(where: string, text: string, classes: readonly string[] | undefined): number {
  const end = classes?.length ?? MOST_UNNAMED_CLASSES;
  if (/^\d+$/.test(text) && Number(text) < end) return Number(text);
  const remedy = classes ? "correct it or complete the file of class names" : "correct it";
  throw new TensorARError(
    `${where} holds "${text.slice(0, 40)}"; a class index is a whole number from 0 to ${end - 1}; ${remedy}`,
  );
}

async function readClassNames(file: string): Promise<string[]> {
  let lines: string[];
  try {
    lines = (await readFile(file, "utf8"))
      .trimEnd()
      .split("\n")
      .map((line) => line.trim());
  } catch (error) {
    throw new TensorARError(
      `${file}: class names cannot be read (${(error as Error).message}); give a text file with one name a line`,
    );
  }
  lines.forEach((name, i) => {
    if (name === "")
      throw new TensorARError(`${file}, line ${i + 1}: empty; every line names the class of its number, starting at 0`);
    if (lines.indexOf(name) !== i)
      throw new TensorARError(
        `${file}, line ${i + 1}: "${name}" names class ${lines.indexOf(name)} already; give each class its own name`,
      );
  });
  return lines;
}
