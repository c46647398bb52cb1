import { existsSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { TensorARError } from "../errors";

const NAME = /^([a-z0-9][a-z0-9-]*)\/([a-z0-9][a-z0-9-]*)$/;

/**
 * The folder of weights that a user means: a path that exists, or else `NAME/PART`, the folder `PART` of the installed
 * package `@tensorar/weights-NAME`. Packages are looked for from the current folder up, and beside this package. What can't
 * be a name is returned as it is, and reported by whoever opens it.
 *
 * @throws TensorARError (`missing`) when there is no such path and no such package, or the package lacks the part
 */
export function weightsFolder(pathOrName: string): string {
  const [, name, part] = NAME.exec(pathOrName) ?? [];
  if (name === undefined || part === undefined || existsSync(pathOrName)) return pathOrName;
  const packageName = `@tensorar/weights-${name}`;
  const folder = packageFolder(packageName);
  if (folder === undefined) {
    throw new TensorARError(
      `"${pathOrName}": there is no such folder, and no package ${packageName} that has weights of this name; ` +
        `correct the path, or run \`npm install ${packageName}\``,
      { code: "missing" },
    );
  }
  const found = join(folder, part);
  if (existsSync(found)) return found;
  throw new TensorARError(`"${pathOrName}": ${packageName} (${folder}) has no folder "${part}"`, { code: "missing" });
}

function packageFolder(name: string): string | undefined {
  for (const place of [join(process.cwd(), "package.json"), import.meta.url]) {
    try {
      return dirname(createRequire(place).resolve(`${name}/package.json`));
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "MODULE_NOT_FOUND") throw error;
    }
  }
  return undefined;
}
