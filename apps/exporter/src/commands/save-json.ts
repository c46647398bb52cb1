import { writeFileAtomic } from "@tensorar/core/node";

/** Writes what a command found, where a file was named for it. */
export async function saveJson(path: string | undefined, value: unknown): Promise<void> {
  if (path !== undefined) await writeFileAtomic(path, `${JSON.stringify(value, null, 2)}\n`);
}
