import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { temporaryFolder } from "../../data/test/data-helpers";
import { pinRecipe, RECIPE } from "../src/run/recipe";

test("a run that began under earlier names of settings is resumed under today's", async () => {
  const dir = temporaryFolder();
  await writeFile(join(dir, RECIPE), JSON.stringify({ inputs: "self", selfShare: 0.5 }));
  await pinRecipe(dir, { inputs: "self", selfFraction: 0.5 }, true);
  await expect(pinRecipe(dir, { inputs: "self", selfFraction: 0.25 }, true)).rejects.toThrow(
    /selfFraction was 0\.5, now 0\.25/,
  );
});
