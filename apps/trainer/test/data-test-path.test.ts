import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { openDataset } from "@tensorar/data";
import { expect, test } from "vitest";
import { plainPng, temporaryFolder, writeAt } from "../../../packages/data/test/data-helpers";
import { runCli } from "./run-cli";

const root = temporaryFolder();

async function folder(name: string, count: number): Promise<string> {
  const dir = join(root, name, "grey");
  await mkdir(dir, { recursive: true });
  for (let i = 0; i < count; i++) writeAt(join(dir, `${i}.png`), await plainPng([i, i, i]));
  return join(root, name);
}

test("test images of their own are for the test alone, and never those that are trained on", async () => {
  const [images, held] = [await folder("images", 20), await folder("held", 3)];
  const data = ["data", "--source", "folder", "--path", images, "--size", "2"];
  const made = await runCli([...data, "--test-path", held, "--output", join(root, "data")]);
  expect(made.status, made.output).toBe(0);
  const { test, train, validation } = await openDataset(join(root, "data"));
  expect([test.length, train.length + validation.length]).toEqual([3, 20]);

  const same = await runCli([...data, "--test-path", join(images, "."), "--output", join(root, "same")]);
  expect(same.status).toBe(1);
  expect(same.output).toMatch(/--test-path .*images.* is --path too; give test images that are not trained on/);
});
