import { execFileSync } from "node:child_process";
import { existsSync } from "node:fs";
import { basename, dirname, join, posix } from "node:path";
import { repositoryUrl, root } from "../lib/workspace";
import type { Problems } from "./checks";
import type { Tarball } from "./tarball";

/**
 * Links of a package's pages work where the package is seen without the repository, as on the registry's page: relative ones
 * name files of the package, and those into the repository name what is there.
 */
export const links = ({ path, files }: Tarball): Problems =>
  files
    .filter((file) => file.endsWith(".md"))
    .flatMap((file) => {
      const options = { cwd: dirname(path), encoding: "utf8" } as const;
      const page = execFileSync("tar", ["-xzOf", basename(path), `package/${file}`], options);
      return linksOf(page).flatMap((link) => brokenBecause(link, file, files) ?? []);
    });

/** Targets of `[text](target)` outside of code, without their fragments. */
export const linksOf = (page: string): string[] =>
  [...page.replace(/^(```|~~~).*?^\1|`[^`\n]*`/gms, "").matchAll(/\]\(([^)\s]+)\)/g)]
    .map(([, target]) => target!.replace(/#.*$/, ""))
    .filter((target) => target !== "");

function brokenBecause(link: string, page: string, files: readonly string[]): string | undefined {
  const inRepository = new RegExp(`^${repositoryUrl}/(?:blob|tree)/main/(.*)$`).exec(link)?.[1];
  if (inRepository !== undefined)
    return existsSync(join(root, inRepository))
      ? undefined
      : `${page} links to ${link}, which is not in the repository`;
  if (/^[a-z]+:/.test(link)) return undefined;
  const target = posix.join(posix.dirname(page), link).replace(/\/$/, "");
  const found = files.some((file) => file === target || file.startsWith(`${target}/`));
  return found ? undefined : `${page} links to ${link}, which is not in the package; use ${repositoryUrl}/blob/main/…`;
}
