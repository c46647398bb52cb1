import { mkdirSync, mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { checkFolder, openOutputFolder, writeChecksums } from "../src/node";

/** A folder with a text and 10,000 bytes. */
function filledFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), "tensorar-core-"));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  writeFileSync(join(folder, "config.json"), "123456789");
  writeFileSync(
    join(folder, "weights"),
    Uint8Array.from({ length: 10_000 }, (_, i) => i * 7),
  );
  return folder;
}

test("sizes and checksums, one line a file", async () => {
  const folder = filledFolder();
  await writeChecksums(folder, ["config.json"]);
  // cbf43926 is the check value of CRC-32, that of "123456789".
  expect(readFileSync(join(folder, "checksums.txt"), "utf8")).toBe("cbf43926 9 config.json\n");
  await checkFolder(folder);
});

test("every flipped bit of a file is found", async () => {
  const folder = filledFolder();
  await writeChecksums(folder, ["weights"]);
  const path = join(folder, "weights");
  const whole = readFileSync(path);
  for (let i = 0; i < 20; i++) {
    const damaged = Buffer.from(whole);
    damaged[(i * 7919) % damaged.length]! ^= 1 << (i % 8);
    writeFileSync(path, damaged);
    await expect(checkFolder(folder)).rejects.toThrow(`${path}: other contents than checksums.txt lists`);
  }
  writeFileSync(path, whole);
  await checkFolder(folder);
});

test("cut and missing files are named", async () => {
  const folder = filledFolder();
  await writeChecksums(folder, ["config.json", "weights"]);
  truncateSync(join(folder, "weights"), 9_999);
  await expect(checkFolder(folder)).rejects.toThrow(`${join(folder, "weights")}: 9999 bytes in place of 10000`);
  rmSync(join(folder, "weights"));
  await expect(checkFolder(folder)).rejects.toMatchObject({ code: "missing" });
});

test("an edit is accepted once its line is removed, and folders without the list pass", async () => {
  const folder = filledFolder();
  await checkFolder(folder);
  await writeChecksums(folder, ["config.json", "weights"]);
  writeFileSync(join(folder, "config.json"), "edited by hand");
  const list = join(folder, "checksums.txt");
  await expect(checkFolder(folder)).rejects.toThrow(`remove its line from ${list}`);
  const lines = readFileSync(list, "utf8").split("\n");
  writeFileSync(list, lines.filter((line) => !line.includes("config.json")).join("\n"));
  await checkFolder(folder);
});

test.each(["00000000 1 ../x", "00000000 1 ..", "00000000 1", "0000 1 weights", "00000000 -1 weights", "{}"])(
  "a list that is none: %s",
  async (text) => {
    const folder = filledFolder();
    writeFileSync(join(folder, "checksums.txt"), text);
    await expect(checkFolder(folder)).rejects.toThrow(/checksums\.txt, line 1: not /);
  },
);

test("an output folder lists all its files, but those that are checked in another way", async () => {
  const folder = filledFolder();
  const out = join(folder, "out");
  const output = await openOutputFolder(out, { overwrite: false, entries: [], unlisted: ["big"] });
  await output.write(async (temporary) => {
    mkdirSync(join(temporary, "tokenizer"));
    for (const name of ["a", "big", join("tokenizer", "b")]) writeFileSync(join(temporary, name), name);
  });
  const listed = (dir: string) =>
    readFileSync(join(dir, "checksums.txt"), "utf8")
      .split("\n")
      .map((line) => line.split(" ")[2]);
  expect(listed(out)).toEqual(["a", undefined]);
  expect(listed(join(out, "tokenizer"))).toEqual(["b", undefined]);
});
