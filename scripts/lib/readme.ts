import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { Workspace } from "./workspace";

/** The first `ts` block of a workspace's README.md: a complete program. Null without README or block. */
export function readmeExample({ path }: Pick<Workspace, "path">): string | null {
  const readme = join(path, "README.md");
  if (!existsSync(readme)) return null;
  return /^```ts\r?\n(.*?)^```/ms.exec(readFileSync(readme, "utf8"))?.[1] ?? null;
}
