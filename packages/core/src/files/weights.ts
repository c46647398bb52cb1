import { existsSync } from "node:fs";
import { dirname, join } from "node:path";
import { TensorARError } from "../errors";
import { findOptional } from "./optional";

const NAME = /^([a-z0-9][a-z0-9-]*)(?:\/([a-z0-9][a-z0-9-]*))?$/;

/** Names of the packages of weights that this project publishes. */
const PUBLISHED = ["emoji", "emoji-text"];

/** The part that a name alone means: the model that refines. */
const PART = "tensorar";

/**
 * The folder of weights that a user means: a path that exists, or else `NAME/PART`, the folder `PART` of the installed
 * package `@tensorar/weights-NAME`, or `NAME` alone. Packages are looked for beside this one and from the current folder up.
 * What can't be a name is returned as it is, and reported by whoever opens it.
 *
 * @param usual the part that `NAME` alone means
 * @throws TensorARError (`missing`) when there is no such path and no such package, or the package lacks the part
 */
export function weightsFolder(pathOrName: string, usual: string = PART): string {
  const [, name, given] = NAME.exec(pathOrName) ?? [];
  if (name === undefined || existsSync(pathOrName)) return pathOrName;
  const packageName = `@tensorar/weights-${name}`;
  const manifest = findOptional(`${packageName}/package.json`, [import.meta.url, join(process.cwd(), "package.json")]);
  if (manifest === undefined) {
    if (given === undefined && !PUBLISHED.includes(name)) return pathOrName; // a path, more likely
    throw new TensorARError(
      `"${pathOrName}": there is no such folder, and no package ${packageName} that has weights of this name; ` +
        `correct the path, or run \`npm install ${packageName}\``,
      { code: "missing" },
    );
  }
  const folder = dirname(manifest);
  const part = given ?? usual;
  const found = join(folder, part);
  if (existsSync(found)) return found;
  throw new TensorARError(`"${pathOrName}": ${packageName} (${folder}) has no folder "${part}"`, { code: "missing" });
}
