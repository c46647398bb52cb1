import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { TensorARError } from "../errors";
import { fileError } from "./errors";

/** SHA-256 of a file, in hexadecimal digits. @throws TensorARError when it can't be read */
export async function hashFile(path: string): Promise<string> {
  const hash = createHash("sha256");
  try {
    for await (const bytes of createReadStream(path)) hash.update(bytes as Uint8Array);
  } catch (cause) {
    throw fileError("read", path, cause);
  }
  return hash.digest("hex");
}

/** @throws TensorARError when a file is not as it was when it had this SHA-256, or can't be read; it ends with the remedy */
export async function expectUnchanged(path: string, sha256: string, remedy: string): Promise<void> {
  if ((await hashFile(path)) === sha256) return;
  throw new TensorARError(`${path} has changed since it was written (its SHA-256 is another); ${remedy}`);
}
