import { basename, resolve } from "node:path";
import { decodeText, parseJson, quote, TensorARError } from "@tensorar/core";
import { captionOf } from "../files/captions";
import { tooLarge } from "../files/image-file";
import { createTally } from "../files/left-out";
import { TAR_NAME } from "../files/tar-files";
import { DEFAULT_LIMITS } from "../limits";
import { readClassNames } from "./class-names";
import { ONLY_CLASS } from "./csv-source";
import type { FolderOptions } from "./folder-source";
import type { ImageSource, SourceEntry } from "./source";
import { type ArchiveSample, imageExtension, samplesOf } from "./webdataset-samples";

/** Without a list of names, a larger class index is taken for a mistake. */
const MOST_UNNAMED_CLASSES = 65_536;

/**
 * WebDataset archives, plain or gzipped: of each key are read its image, `KEY.cls` (the class index in ASCII) and, where
 * present, `KEY.txt` (the caption). Archives without classes, such as img2dataset writes, are one class with captions, from
 * `KEY.txt` or else from "caption" in `KEY.json`. Without class names, classes are named by their index.
 *
 * @throws TensorARError naming archive and file, when an archive is truncated, a sample lacks its image, class or caption,
 *   only some samples have a class, or a class index is no number or out of range
 */
export async function webDatasetSource(archives: readonly string[], options: FolderOptions = {}): Promise<ImageSource> {
  const { classNames, maxFileBytes = DEFAULT_LIMITS.maxFileBytes } = options;
  checkArchives(archives);
  const names = classNames === undefined ? undefined : await readClassNames(classNames);
  const first = await firstSample(archives, maxFileBytes);
  if (names !== undefined && !first.hasClass)
    throw new TensorARError(
      `${first.where} has no class index (cls), so --class-names ${classNames} names nothing; leave it out`,
    );
  const classes = first.hasClass ? names : [ONLY_CLASS];
  let tally = createTally();
  return {
    name: archiveName(archives[0]!),
    ...(classes && { classes }),
    attribution: [],
    async *entries() {
      tally = createTally();
      for (const archive of archives) {
        for await (const sample of samplesOf(archive, maxFileBytes, tally)) {
          expectAlike(archive, sample, first);
          yield entryOf(archive, sample, { names, maxFileBytes });
        }
      }
    },
    leftOut: () => tally.list(),
  };
}

function checkArchives(archives: readonly string[]): void {
  if (archives.length === 0)
    throw new TensorARError("webDatasetSource: no archives given; name at least one .tar or .tar.gz file");
  const paths = archives.map((archive) => resolve(archive));
  const twice = archives.find((_, i) => paths.indexOf(paths[i]!) !== i);
  if (twice !== undefined) throw new TensorARError(`${twice} is named twice; name each archive once`);
}

const archiveName = (archive: string): string => basename(archive).replace(TAR_NAME, "");

interface FirstSample {
  readonly where: string;
  readonly hasClass: boolean;
}

/** Whether there are classes, the first sample says. */
async function firstSample(archives: readonly string[], maxFileBytes: number): Promise<FirstSample> {
  for (const archive of archives) {
    for await (const sample of samplesOf(archive, maxFileBytes, createTally()))
      return { where: nameOf(archive, sample), hasClass: sample.files.has("cls") };
  }
  throw new TensorARError(
    `${archives.join(", ")}: no samples; expected files such as 00000.jpg and 00000.cls or 00000.txt`,
  );
}

const nameOf = (archive: string, sample: ArchiveSample): string =>
  `${archive}: ${sample.key}.${imageExtension(sample)}`;

function expectAlike(archive: string, sample: ArchiveSample, { where, hasClass }: FirstSample): void {
  const { key, files } = sample;
  if (files.has("cls") === hasClass) return;
  const own = nameOf(archive, sample);
  throw new TensorARError(
    hasClass
      ? `${own} has no ${key}.cls with its class index, but ${where} has one; give all samples a class or none, and let the files of a sample follow one another in the archive`
      : `${own} has a class index (cls), but ${where} has none; give all samples a class or none`,
  );
}

interface EntryOptions {
  readonly names: readonly string[] | undefined;
  readonly maxFileBytes: number;
}

function entryOf(archive: string, sample: ArchiveSample, { names, maxFileBytes }: EntryOptions): SourceEntry {
  const { key, files } = sample;
  const where = nameOf(archive, sample);
  const cls = files.get("cls");
  const caption = captionIn(archive, sample);
  if (!cls && caption === undefined)
    throw new TensorARError(
      `${where} has neither a class index (${key}.cls) nor a caption (${key}.txt, or "caption" in ${key}.json); add one, and let the files of a sample follow one another in the archive`,
    );
  const image = files.get(imageExtension(sample)!)!;
  return {
    name: `${archiveName(archive)}/${key}`,
    where,
    label: cls ? parseLabel(`${archive}: ${cls.path}`, textOf(archive, cls), names) : 0,
    ...(caption !== undefined && { caption }),
    async load() {
      if (image.contents === undefined) throw tooLarge(where, image.size, maxFileBytes);
      return image.contents;
    },
  };
}

type ArchiveFile = NonNullable<ReturnType<ArchiveSample["files"]["get"]>>;

/** A text of a sample; too long ones were refused before. */
const textOf = (archive: string, { path, contents }: ArchiveFile): string =>
  decodeText(contents!, `${archive}: ${path}`).trim();

function captionIn(archive: string, { files }: ArchiveSample): string | undefined {
  const [txt, json] = [files.get("txt"), files.get("json")];
  if (txt) return captionOf(textOf(archive, txt), `${archive}: ${txt.path}`);
  if (!json || files.has("cls")) return undefined; // beside a class, JSON may be anything
  const where = `${archive}: ${json.path}`;
  const { caption } = (parseJson(json.contents!, where) ?? {}) as { readonly caption?: unknown };
  return typeof caption === "string" ? captionOf(caption, where) : undefined;
}

function parseLabel(where: string, text: string, names: readonly string[] | undefined): number {
  const end = names?.length ?? MOST_UNNAMED_CLASSES;
  if (/^\d+$/.test(text) && Number(text) < end) return Number(text);
  const remedy = names ? "correct it or complete the file of class names" : "correct it";
  throw new TensorARError(
    `${where} holds ${quote(text)}; a class index is a whole number from 0 to ${end - 1}; ${remedy}`,
  );
}
