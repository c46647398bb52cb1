import { join } from "node:path";
import { TensorARError, underTodaysNames } from "@tensorar/core";
import { readChecked, writeFileAtomic } from "@tensorar/core/node";
import { z } from "zod";

/** The file that makes a folder a run's. */
export const RECIPE = "recipe.json";

const schema = z.preprocess(underTodaysNames({ selfShare: "selfFraction" }), z.record(z.string(), z.unknown()));

/**
 * Writes the run's recipe, or checks that a resumed run has the one that it began with.
 * @throws TensorARError naming each setting that differs, or when the recipe is damaged
 */
export async function pinRecipe(
  out: string,
  recipe: Readonly<Record<string, unknown>>,
  resume: boolean,
): Promise<void> {
  const path = join(out, RECIPE);
  if (!resume) return writeFileAtomic(path, `${JSON.stringify(recipe, null, 2)}\n`);
  const saved = await readChecked(path, schema, "the settings that a run began with");
  const given = schema.parse(recipe);
  const keys = new Set([...Object.keys(saved), ...Object.keys(given)]);
  const different = [...keys].filter((key) => JSON.stringify(saved[key]) !== JSON.stringify(given[key]));
  if (different.length > 0) {
    const list = different.map((key) => `${key} was ${JSON.stringify(saved[key])}, now ${JSON.stringify(given[key])}`);
    throw new TensorARError(
      `${path}: this run began with other settings (${list.join("; ")}); use those, or start anew in another --output`,
    );
  }
}
