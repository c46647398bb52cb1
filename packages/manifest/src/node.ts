import { join } from "node:path";
import { readJson, settleFolder } from "@tensorar/core/node";
import { checkManifest, type ExportManifest, MANIFEST, WHAT } from "./manifest";

/** The manifest of an export in a folder. @throws TensorARError when the folder holds none */
export async function readManifest(dir: string): Promise<ExportManifest> {
  await settleFolder(dir);
  const path = join(dir, MANIFEST);
  return checkManifest(await readJson(path, WHAT), path);
}
