import { createReadStream } from "node:fs";
import { readdir, stat } from "node:fs/promises";
import { join } from "node:path";
import { crc32 } from "node:zlib";
import { TensorARError } from "../errors";
import { splitLines } from "../text";
import { writeFileAtomic } from "./atomic";
import { fileError } from "./errors";
import { isAbsent, parseTemporary, settleFolder } from "./temporary";
import { readText } from "./text";

/** The file with a line for each other file of a folder: checksum, size in bytes, name. */
export const CHECKSUMS = "checksums.txt";

interface Checksum {
  readonly bytes: number;
  /** 8 hexadecimal digits */
  readonly crc32: string;
}

const PIECE_BYTES = 2 ** 22;

/**
 * Writes `checksums.txt`, by which {@link checkFolder} finds files that were damaged, cut, or are left of an earlier
 * writing. To be called last, after the folder's files.
 *
 * @param names files of the folder
 * @throws TensorARError when a file can't be read, or the system refuses to write
 */
export async function writeChecksums(folder: string, names: readonly string[]): Promise<void> {
  const lines: string[] = [];
  for (const name of [...names].sort()) {
    const { crc32, bytes } = await checksumOf(join(folder, name));
    lines.push(`${crc32} ${bytes} ${name}\n`);
  }
  await writeFileAtomic(join(folder, CHECKSUMS), lines.join(""));
}

/**
 * {@link writeChecksums} of all files, in the folder and in each folder within.
 * @param except files that are left out, since their readers check them in another way
 */
export async function writeAllChecksums(folder: string, except: readonly string[] = []): Promise<void> {
  const entries = await readdir(folder, { withFileTypes: true });
  for (const entry of entries) if (entry.isDirectory()) await writeAllChecksums(join(folder, entry.name), except);
  const names = entries.flatMap((entry) => (entry.isFile() ? [entry.name] : []));
  const listed = names.filter((name) => ![CHECKSUMS, ...except].includes(name) && parseTemporary(name) === undefined);
  await writeChecksums(folder, listed);
}

/**
 * Makes a folder ready to be read: ends its replacement where that was killed (see `settleFolder`), and checks that the
 * files listed in its `checksums.txt` are as they were written. A folder without the list passes.
 *
 * @throws TensorARError naming the first file that is missing or not as it was written
 */
export async function checkFolder(folder: string): Promise<void> {
  await settleFolder(folder);
  const path = join(folder, CHECKSUMS);
  if (await isAbsent(path)) return;
  for (const [i, line] of splitLines(await readText(path)).entries()) {
    const { name, bytes, crc32 } = parseLine(line, `${path}, line ${i + 1}`);
    const file = join(folder, name);
    if (await isAbsent(file)) throw new TensorARError(`${file} is missing; ${path} lists it`, { code: "missing" });
    const found = await checksumOf(file, bytes);
    if (found.bytes === bytes && found.crc32 === crc32) continue;
    const what = found.bytes === bytes ? "other contents" : `${found.bytes} bytes in place of ${bytes}`;
    throw new TensorARError(
      `${file}: ${what} than ${CHECKSUMS} lists: it was damaged, edited, or written in part; make or fetch the folder ` +
        `again, or, where the change is yours, remove its line from ${path}`,
    );
  }
}

function parseLine(line: string, where: string): Checksum & { readonly name: string } {
  const [, crc32, bytes, name] = /^([0-9a-f]{8}) (\d+) ([^/\\]+)$/.exec(line) ?? [];
  if (name !== undefined && name !== "..") return { crc32: crc32!, bytes: Number(bytes), name };
  throw new TensorARError(
    `${where}: not a checksum, a size and the name of a file; make the folder again, or remove this list`,
  );
}

/** @param expected bytes; a file of another size is not read */
async function checksumOf(path: string, expected?: number): Promise<Checksum> {
  try {
    const status = await stat(path);
    if (!status.isFile()) throw new TensorARError(`${path} is not a file; make the folder again`);
    if (expected !== undefined && status.size !== expected) return { bytes: status.size, crc32: "" };
    let [bytes, sum] = [0, 0];
    for await (const piece of createReadStream(path, { highWaterMark: PIECE_BYTES })) {
      sum = crc32(piece as Buffer, sum);
      bytes += (piece as Buffer).length;
    }
    return { bytes, crc32: sum.toString(16).padStart(8, "0") };
  } catch (cause) {
    throw fileError("read", path, cause);
  }
}
