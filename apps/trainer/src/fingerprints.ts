import { createHash } from "node:crypto";
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import type { TensorData } from "@tensorar/checkpoint";
import { CHECKSUMS, fileError, hashFile } from "@tensorar/core/node";

/** SHA-256 of weights: names, shapes and elements. The same for the same weights, whatever file they come from. */
export function hashTensors(tensors: Readonly<Record<string, TensorData>>): string {
  const hash = createHash("sha256");
  for (const [name, { shape, data }] of Object.entries(tensors).sort(([a], [b]) => (a < b ? -1 : 1))) {
    hash.update(JSON.stringify([name, shape]));
    hash.update(new Uint8Array(data.buffer, data.byteOffset, data.byteLength));
  }
  return hash.digest("hex");
}

/** SHA-256 of a folder: of its list of checksums where it has one, which are checked when it is opened, or else of all its files. */
export async function hashFolder(dir: string): Promise<string> {
  const names = await readdir(dir).catch((cause) => {
    throw fileError("read the folder", dir, cause);
  });
  if (names.includes(CHECKSUMS)) return hashFile(join(dir, CHECKSUMS));
  const hash = createHash("sha256");
  for (const name of names.sort()) hash.update(`${name} ${await hashFile(join(dir, name))}\n`);
  return hash.digest("hex");
}
