import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { replaceFile, writeFileAtomic } from "../src/node";

function temporaryFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), "tensorar-core-"));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  return folder;
}

test("what fails while the contents are made is not blamed on the disk, and the old file stays", async () => {
  const folder = temporaryFolder();
  const path = join(folder, "a.bin");
  await writeFileAtomic(path, "old");
  const failing = replaceFile(path, async (put) => {
    await put(new Uint8Array(10));
    throw new RangeError("b.png is cut");
  });
  await expect(failing).rejects.toThrow(new RangeError("b.png is cut"));
  expect(readFileSync(path, "utf8")).toBe("old");
  expect(readdirSync(folder)).toEqual(["a.bin"]);
});

test("pieces follow one another, or go to their positions", async () => {
  const path = join(temporaryFolder(), "a.bin");
  await replaceFile(path, async (put) => {
    await put(Uint8Array.of(1, 2));
    await put(Uint8Array.of(6), 5);
    await put(Uint8Array.of(3), 2);
    await put(Uint8Array.of(7));
  });
  expect([...readFileSync(path)]).toEqual([1, 2, 3, 0, 0, 6, 7]);
});
