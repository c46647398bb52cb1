import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { expectUnchanged, hashFile } from "../src/node";

let dir: string;
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), "tensorar-hash-"));
});
afterAll(() => rm(dir, { recursive: true }));

test("SHA-256 of a file, and whether it has changed", async () => {
  const path = join(dir, "abc");
  await writeFile(path, "abc");
  const abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"; // FIPS 180-2, appendix B.1
  expect(await hashFile(path)).toBe(abc);
  await expectUnchanged(path, abc, "make it again");
  await writeFile(path, "abd");
  await expect(expectUnchanged(path, abc, "make it again")).rejects.toThrow(/abc has changed .*; make it again$/);
  await expect(hashFile(join(dir, "none"))).rejects.toThrow(/cannot read ".*none"/);
});
