import { readFileSync } from "node:fs";
import type { ProgramManifest } from "./command";

/** @param url of the program's package.json */
export function programManifest(url: URL): ProgramManifest {
  const { version, bugs } = JSON.parse(readFileSync(url, "utf8")) as { version: string; bugs: { url: string } };
  return { version, bugs: bugs.url };
}
