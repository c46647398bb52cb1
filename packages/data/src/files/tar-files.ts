import { createReadStream } from "node:fs";
import { open, stat } from "node:fs/promises";
import { pipeline } from "node:stream";
import { buffer } from "node:stream/consumers";
import { createGunzip } from "node:zlib";
import { TensorARError } from "@tensorar/core";
import { fileError } from "@tensorar/core/node";
import { extract } from "tar-stream";
import { isHidden } from "./image-names";
import { HIDDEN, NO_TEXT_NAME, type Tally } from "./left-out";

export interface TarFile {
  /** Inside the archive, without `./` in front. */
  readonly path: string;
  readonly size: number;
  /** Undefined where the file is larger than was asked for: it is passed over. */
  readonly contents: Uint8Array | undefined;
}

/** How an archive's name ends. */
export const TAR_NAME = /\.(tar|tar\.gz|tgz)$/i;

/**
 * The files of a tar archive, plain or gzipped, one after another. It is read once and never as a whole, so memory holds one
 * file, whatever the archive unpacks to.
 *
 * @param most how many bytes a file may have to be kept in memory; undefined for files of no interest
 * @param tally counts hidden files, and what is no file (links)
 * @throws TensorARError naming the archive, when it is missing, truncated or no tar
 */
export async function* readTar(
  archive: string,
  most: (path: string) => number | undefined,
  tally: Tally,
): AsyncGenerator<TarFile> {
  const gzipped = await isGzip(archive);
  try {
    const source = createReadStream(archive);
    const entries = extract();
    // A failing stream destroys the others, so the loop below throws its error; there is nothing left to handle here.
    const done = () => undefined;
    if (gzipped) pipeline(source, createGunzip(), entries, done);
    else pipeline(source, entries, done);
    for await (const entry of entries) {
      const { name, type, size = 0 } = entry.header;
      const path = name.replace(/^(\.?\/)+/, "");
      const limit = type === "directory" || unfit(path, type, tally) ? undefined : most(path);
      if (limit !== undefined && size <= limit) yield { path, size, contents: await buffer(entry) };
      else {
        entry.resume();
        if (limit !== undefined) yield { path, size, contents: undefined };
      }
    }
  } catch (cause) {
    throw new TensorARError(
      `${archive}: not a whole tar archive (${(cause as Error).message}); fetch or pack it again`,
      { cause },
    );
  }
}

/** Counts what is never looked at. */
function unfit(path: string, type: string | null | undefined, tally: Tally): boolean {
  const reason = path.split("/").some(isHidden)
    ? HIDDEN
    : path.includes("\ufffd") // what the names' decoder writes for bytes that are not UTF-8
      ? NO_TEXT_NAME
      : type === "file" || type === "contiguous-file"
        ? undefined
        : "no file but a link or device";
  if (reason !== undefined) tally.add(reason, path);
  return reason !== undefined;
}

async function isGzip(path: string): Promise<boolean> {
  const failed = (cause: unknown) => {
    throw fileError("read", path, cause);
  };
  // Opening a pipe would wait for someone to write into it.
  if (!(await stat(path).catch(failed)).isFile())
    throw new TensorARError(`${path} is no file; give a tar archive, plain or compressed by gzip`);
  const handle = await open(path).catch(failed);
  try {
    const { buffer, bytesRead } = await handle.read(new Uint8Array(2), 0, 2, 0).catch(failed);
    return bytesRead === 2 && buffer[0] === 0x1f && buffer[1] === 0x8b;
  } finally {
    await handle.close();
  }
}
