import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import type { TensorData } from "@tensorar/checkpoint";
import { fileError } from "@tensorar/core/node";

/** SHA-256 of weights: names, shapes and elements. The same for the same weights, whatever file they come from. */
export function hashTensors(tensors: Readonly<Record<string, TensorData>>): string {
  const hash = createHash("sha256");
  for (const [name, { shape, data }] of Object.entries(tensors).sort(([a], [b]) => (a < b ? -1 : 1))) {
    hash.update(JSON.stringify([name, shape]));
    hash.update(new Uint8Array(data.buffer, data.byteOffset, data.byteLength));
  }
  return hash.digest("hex");
}

/** @throws TensorARError when the file can't be read */
export async function hashFile(path: string): Promise<string> {
  const hash = createHash("sha256");
  try {
    for await (const bytes of createReadStream(path)) hash.update(bytes as Uint8Array);
  } catch (cause) {
    throw fileError("read", path, cause);
  }
  return hash.digest("hex");
}
