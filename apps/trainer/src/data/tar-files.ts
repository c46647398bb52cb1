import { createReadStream } from "node:fs";
import { open } from "node:fs/promises";
import { pipeline } from "node:stream";
import { buffer } from "node:stream/consumers";
import { createGunzip } from "node:zlib";
import { TensorARError } from "@tensorar/core";
import { extract } from "tar-stream";

export interface TarFile {
  readonly path: string;
  readonly contents: Uint8Array;
}

/**
 * The files of a tar archive, plain or gzipped, one after another; only those that `wanted` names are kept in memory.
 *
 * @throws TensorARError naming the archive, when it is missing, truncated or no tar
 */
export async function* readTar(archive: string, wanted: (path: string) => boolean): AsyncGenerator<TarFile> {
  try {
    const gzipped = await isGzip(archive);
    const source = createReadStream(archive);
    const entries = extract();
    // A failing stream destroys the others, so the loop below throws its error; there is nothing left to handle here.
    const done = () => undefined;
    if (gzipped) pipeline(source, createGunzip(), entries, done);
    else pipeline(source, entries, done);
    for await (const entry of entries) {
      const { name, type } = entry.header;
      if (type === "file" && wanted(name)) yield { path: name, contents: await buffer(entry) };
      else entry.resume();
    }
  } catch (error) {
    throw new TensorARError(
      `${archive}: not a whole tar archive (${(error as Error).message}); fetch or pack it again`,
    );
  }
}

async function isGzip(path: string): Promise<boolean> {
  const handle = await open(path);
  try {
    const { buffer, bytesRead } = await handle.read(new Uint8Array(2), 0, 2, 0);
    return bytesRead === 2 && buffer[0] === 0x1f && buffer[1] === 0x8b;
  } finally {
    await handle.close();
  }
}
