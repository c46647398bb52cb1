import { TensorARError } from "@tensorar/core";
import { extensionOf, IMAGE_EXTENSIONS } from "../files/image-names";
import { NOT_NAMED, type Tally } from "../files/left-out";
import { readTar, type TarFile } from "../files/tar-files";
import { MIB } from "../limits";

/** The files of one key. */
export interface ArchiveSample {
  readonly key: string;
  /** By extension. */
  readonly files: ReadonlyMap<string, TarFile>;
}

const TEXTS = ["cls", "txt", "json"];
const KNOWN: readonly string[] = [...IMAGE_EXTENSIONS, ...TEXTS];
/** A caption or a class index is no longer than this. */
const MAX_TEXT_BYTES = MIB;

export const imageExtension = ({ files }: ArchiveSample): string | undefined =>
  IMAGE_EXTENSIONS.find((extension) => files.has(extension));

/**
 * Samples of an archive: files that follow one another and share a key. A key is a path without its extension, one of
 * images, cls, txt or json, and so may hold dots: of `img.v1.0.png` it is `img.v1.0`. (The webdataset library ends it at the first
 * dot, and drops such samples.) Other files are counted and ignored; texts without an image likewise.
 *
 * @throws TensorARError for a damaged archive, a key that comes again, and two images or a text that is too long in one sample
 */
export async function* samplesOf(archive: string, maxFileBytes: number, tally: Tally): AsyncGenerator<ArchiveSample> {
  const most = (path: string): number | undefined => {
    const extension = extensionOf(path);
    if (TEXTS.includes(extension)) return MAX_TEXT_BYTES;
    if (KNOWN.includes(extension)) return maxFileBytes;
    tally.add(NOT_NAMED, path);
    return undefined;
  };
  const seen = new Set<string>();
  let current: { key: string; files: Map<string, TarFile> } | undefined;
  for await (const file of readTar(archive, most, tally)) {
    const extension = extensionOf(file.path);
    const key = file.path.slice(0, -extension.length - 1);
    if (key !== current?.key) {
      if (current && isSample(archive, current, tally)) yield current;
      if (seen.has(key))
        throw new TensorARError(
          `${archive}: ${file.path} comes apart from other files of "${key}"; the files of a sample must follow one another, and each sample needs a key of its own`,
        );
      seen.add(key);
      current = { key, files: new Map() };
    }
    addFile(archive, current.files, extension, file);
  }
  if (current && isSample(archive, current, tally)) yield current;
}

function addFile(archive: string, files: Map<string, TarFile>, extension: string, file: TarFile): void {
  const isImage = !TEXTS.includes(extension);
  const twice = isImage ? imageExtension({ key: "", files }) : files.has(extension) ? extension : undefined;
  if (twice !== undefined)
    throw new TensorARError(
      `${archive}: ${file.path} comes after ${files.get(twice)!.path}, which has the same key; give each sample a key of its own`,
    );
  if (!isImage && file.contents === undefined)
    throw new TensorARError(`${archive}: ${file.path} has ${file.size} bytes; a text of a sample has at most 1 MiB`, {
      code: "limit",
    });
  files.set(extension, file);
}

/** @throws TensorARError for a class without an image, which is a sample that was taken apart */
function isSample(archive: string, sample: ArchiveSample, tally: Tally): boolean {
  if (imageExtension(sample) !== undefined) return true;
  if (sample.files.has("cls"))
    throw new TensorARError(
      `${archive}: ${sample.key} has no image (${IMAGE_EXTENSIONS.join(", ")}); the files of a sample must follow one another in the archive`,
    );
  for (const { path } of sample.files.values()) tally.add("text without an image", path);
  return false;
}
