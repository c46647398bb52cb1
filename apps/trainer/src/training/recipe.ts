import { mkdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { TensorARError } from "@tensorar/core";
import { writeFileAtomic } from "@tensorar/core/node";

/**
 * Writes the run's recipe to `recipe.json`, or checks that a resumed run has the recipe that it began with.
 * @throws TensorARError naming each setting that differs
 */
export async function pinRecipe(out: string, recipe: Record<string, unknown>, resume: boolean): Promise<void> {
  const path = join(out, "recipe.json");
  await mkdir(out, { recursive: true });
  let saved: Record<string, unknown> | undefined;
  if (resume) {
    try {
      saved = JSON.parse(await readFile(path, "utf8"));
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "ENOENT")
        throw new TensorARError(`${path}: ${(error as Error).message}`);
    }
  }
  if (!saved) return writeFileAtomic(path, `${JSON.stringify(recipe, null, 2)}\n`);
  const keys = new Set([...Object.keys(saved), ...Object.keys(recipe)]);
  const different = [...keys].filter((key) => JSON.stringify(saved[key]) !== JSON.stringify(recipe[key]));
  if (different.length > 0) {
    const list = different.map((key) => `${key} was ${JSON.stringify(saved[key])}, now ${JSON.stringify(recipe[key])}`);
    throw new TensorARError(
      `${path}: this run began with other settings (${list.join("; ")}); use those, or start anew in another --out`,
    );
  }
}
