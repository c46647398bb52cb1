import { readFile } from "node:fs/promises";
import { expect, test } from "vitest";
import { GENERATED, generatedKernels, WITH_KERNELS } from "../kernels";

test.each(WITH_KERNELS)("the committed kernels of %s are what their sources give", async (folder) => {
  const committed = await readFile(new URL(`../../${folder}/${GENERATED}`, import.meta.url), "utf8");
  const remedy = `${folder}/${GENERATED} is not made of ${folder}/assembly; run "npm run kernels"`;
  expect(committed === (await generatedKernels(folder)), remedy).toBe(true);
});
