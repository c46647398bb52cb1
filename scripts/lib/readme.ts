import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { Workspace } from "./workspace";

/** The first `ts` block of a workspace's README.md: a complete program. Null without README or block. */
export const readmeExample = (workspace: Pick<Workspace, "path">): string | null => firstBlock(workspace, "ts");

/** The first block in a language of a workspace's README.md. Null without README or block. */
export function firstBlock({ path }: Pick<Workspace, "path">, language: "ts" | "sh"): string | null {
  const readme = join(path, "README.md");
  if (!existsSync(readme)) return null;
  const block = new RegExp(`^\`\`\`${language}\\r?\\n(.*?)^\`\`\``, "ms");
  return block.exec(readFileSync(readme, "utf8"))?.[1] ?? null;
}
