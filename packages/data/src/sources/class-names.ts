import { splitLines, TensorARError } from "@tensorar/core";
import { readText } from "@tensorar/core/node";
import { byName } from "../files/natural-order";

/** Class names by label, from a text file with the name of class i in line i. */
export async function readClassNames(file: string): Promise<string[]> {
  const lines = splitLines((await readText(file)).trimEnd()).map((line) => line.trim());
  const seen = new Map<string, number>();
  lines.forEach((name, i) => {
    if (name === "")
      throw new TensorARError(`${file}, line ${i + 1}: empty; every line names the class of its number, starting at 0`);
    const known = seen.get(name);
    if (known !== undefined)
      throw new TensorARError(
        `${file}, line ${i + 1}: "${name}" names class ${known} already; give each class its own name`,
      );
    seen.set(name, i);
  });
  return lines;
}

/**
 * All class names by label: those of the file where one is given, or those that were found, in natural order.
 *
 * @param found names of classes that have images
 * @param where what an error names
 * @throws TensorARError when the file lacks one of them
 */
export async function classesOf(found: Iterable<string>, where: string, file: string | undefined): Promise<string[]> {
  const names = [...new Set(found)].sort(byName);
  if (file === undefined) return names;
  const all = await readClassNames(file);
  const known = new Set(all);
  const missing = names.find((name) => !known.has(name));
  if (missing !== undefined)
    throw new TensorARError(`${where}: class "${missing}" is none of the ${all.length} in ${file}; add or correct it`);
  return all;
}
