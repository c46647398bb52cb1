import { join } from "node:path";
import { inWorkFolder, removeLeftovers, type WorkFiles, type WorkSettings } from "@tensorar/core/node";
import { TOKENIZER_FILES } from "@tensorar/text/node";
import { CHECKPOINTS } from "./checkpoint";
import { pinRecipe, RECIPE } from "./recipe";
import { LOG } from "./run-log";

/** The folder of the model that was best on held-out images. */
export const BEST = "best";

const FILES: WorkFiles = {
  what: "a run",
  mark: RECIPE,
  own: [LOG, CHECKPOINTS, BEST],
  results: ["config.json", "model.safetensors", ...TOKENIZER_FILES],
};

/**
 * Does `work` in a run's folder, as {@link inWorkFolder} says.
 * @param recipe the settings that decide what is trained; a run is resumed with those that it began with
 */
export const inRunFolder = <T>(
  settings: WorkSettings,
  recipe: Readonly<Record<string, unknown>>,
  work: () => Promise<T>,
): Promise<T> =>
  inWorkFolder(settings, FILES, async () => {
    await removeLeftovers(join(settings.out, CHECKPOINTS));
    await pinRecipe(settings.out, recipe, settings.resume);
    return work();
  });
