import { spawnSync } from "node:child_process";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { TensorARError } from "../src/errors";
import { newProcessTag, ownerOf } from "../src/files/process-tag";
import {
  checkOutputFile,
  checkOutputFolder,
  openOutputFolder,
  removeLeftovers,
  settleFolder,
  withLock,
  writeFolderAtomic,
} from "../src/node";

function temporaryFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), "tensorar-core-"));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  return folder;
}

/** The tag of a process that has ended: this one's, with the number of a child that is gone. */
function endedTag(): string {
  const { pid } = spawnSync(process.execPath, ["--version"]);
  return newProcessTag().replace(/^\d+/, String(pid));
}

const options = { overwrite: false, entries: ["a.txt", "b.txt"] };
const fill = (text: string) => async (folder: string) => writeFileSync(join(folder, "a.txt"), text);
const refusal = (promise: Promise<unknown>) =>
  promise.then(
    () => expect.unreachable("it was not refused"),
    (error: unknown) => {
      expect(error).toBeInstanceOf(TensorARError);
      return error as TensorARError;
    },
  );

test("tags tell whether their process runs", () => {
  expect(ownerOf(newProcessTag())).toBe("running");
  expect(ownerOf(endedTag())).toBe("ended");
  const [pid, , start, random] = newProcessTag().split("-");
  expect(ownerOf([pid, "00000000", start, random].join("-"))).toBe("elsewhere");
});

test.runIf(process.platform === "linux")("a later process of the same number is another", () => {
  const [pid, host, , random] = newProcessTag().split("-");
  expect(ownerOf([pid, host, "00000000", random].join("-"))).toBe("ended");
});

test("a folder is written whole, its parents made", async () => {
  const folder = temporaryFolder();
  const output = await openOutputFolder(join(folder, "x", "out"), options);
  expect(readdirSync(join(folder, "x"))).toEqual([]);
  await output.write(fill("new"));
  expect(readFileSync(join(folder, "x", "out", "a.txt"), "utf8")).toBe("new");
  expect(readdirSync(join(folder, "x"))).toEqual(["out"]);
});

test("an empty folder is filled; one that holds results is replaced only on request", async () => {
  const folder = temporaryFolder();
  const out = join(folder, "out");
  mkdirSync(out);
  await (await openOutputFolder(out, options)).write(fill("old"));
  writeFileSync(join(out, "b.txt"), "old as well");
  expect(await refusal(openOutputFolder(out, options))).toMatchObject({ code: "exists" });
  const output = await openOutputFolder(out, { ...options, overwrite: true });
  expect(readFileSync(join(out, "a.txt"), "utf8")).toBe("old");
  await output.write(fill("new"));
  expect(readdirSync(out)).toEqual(["a.txt", "checksums.txt"]); // nothing of the old is left
  expect(readFileSync(join(out, "a.txt"), "utf8")).toBe("new");
  expect(readdirSync(folder)).toEqual(["out"]);
});

test("what else lies in a folder is never removed", async () => {
  const out = temporaryFolder();
  writeFileSync(join(out, "thesis.tex"), "…");
  const error = await refusal(openOutputFolder(out, { ...options, overwrite: true }));
  expect(error).toMatchObject({ code: "exists", message: expect.stringContaining('"thesis.tex"') });
});

test("what fails leaves the old folder", async () => {
  const folder = temporaryFolder();
  const out = join(folder, "out");
  await writeFolderAtomic(out, fill("old"));
  const output = await openOutputFolder(out, { ...options, overwrite: true });
  await expect(output.write(async () => Promise.reject(new RangeError("no")))).rejects.toThrow(new RangeError("no"));
  expect(readFileSync(join(out, "a.txt"), "utf8")).toBe("old");
  expect(readdirSync(folder)).toEqual(["out"]);
});

test("a place that can't be written is refused before the work", async () => {
  const folder = temporaryFolder();
  const file = join(folder, "file");
  writeFileSync(file, "");
  expect(await refusal(openOutputFolder(file, { ...options, overwrite: true }))).toMatchObject({ code: "exists" });
  expect(await refusal(openOutputFolder(join(file, "out"), options))).toMatchObject({ code: "io" });
  expect(await refusal(openOutputFolder("", options))).toMatchObject({ code: "invalid" });
  if (existsSync("/proc/self")) {
    expect(await refusal(openOutputFolder("/proc/self/out", options))).toMatchObject({ code: "io" }); // not even for root
    expect(await refusal(checkOutputFile("/proc/self/out.json", options))).toMatchObject({ code: "io" });
    expect(await refusal(openOutputFolder("/proc", { overwrite: true, entries: readdirSync("/proc") }))).toMatchObject({
      message: expect.stringMatching(/"\/proc"/),
    });
  }
});

test("a folder that a process works in is left alone; the lock of one that ended is no obstacle", async () => {
  const folder = temporaryFolder();
  const open = () => openOutputFolder(folder, { overwrite: true, entries: [] });
  await withLock(folder, async () => expect((await refusal(open())).code).toBe("locked"));
  writeFileSync(join(folder, `.lock-${endedTag()}`), "");
  await open();
  expect(readdirSync(folder)).toEqual([]);
});

test("a folder to fill file by file is checked only, and may be the current one", async () => {
  const folder = temporaryFolder();
  await checkOutputFolder(join(folder, "a", "b"), options);
  expect(readdirSync(join(folder, "a"))).toEqual([]);
  await checkOutputFolder(join(folder, "a"), options);
  writeFileSync(join(folder, "a", "a.txt"), "");
  expect((await refusal(checkOutputFolder(join(folder, "a"), options))).code).toBe("exists");
  expect((await refusal(checkOutputFolder(join(folder, "a", "a.txt"), options))).message).toContain("is a file");
  expect((await refusal(checkOutputFolder(join("/proc", "none"), options))).code).toBe("io");
  const cwd = process.cwd();
  process.chdir(join(folder, "a"));
  await checkOutputFolder(".", { ...options, overwrite: true }).finally(() => process.chdir(cwd));
  expect(readdirSync(join(folder, "a"))).toEqual(["a.txt"]);
});

test("a link to a folder stays a link", async () => {
  const folder = temporaryFolder();
  mkdirSync(join(folder, "disk", "out"), { recursive: true });
  symlinkSync(join(folder, "disk", "out"), join(folder, "out"));
  await (await openOutputFolder(join(folder, "out"), options)).write(fill("new"));
  expect(readFileSync(join(folder, "disk", "out", "a.txt"), "utf8")).toBe("new");
});

test("files: replaced on request, never a folder", async () => {
  const folder = temporaryFolder();
  const file = join(folder, "x", "a.json");
  await checkOutputFile(file, { overwrite: false });
  expect(readdirSync(join(folder, "x"))).toEqual([]);
  writeFileSync(file, "{}");
  expect(await refusal(checkOutputFile(file, { overwrite: false }))).toMatchObject({ code: "exists" });
  await checkOutputFile(file, { overwrite: true });
  expect(await refusal(checkOutputFile(folder, { overwrite: true }))).toMatchObject({ code: "exists" });
});

test("leftovers of killed processes go, those of others stay", async () => {
  const folder = temporaryFolder();
  const [dead, alive] = [endedTag(), newProcessTag()];
  const elsewhere = alive.replace(/-[0-9a-f]{8}/, "-00000000");
  mkdirSync(join(folder, `out.tmp-${dead}`));
  writeFileSync(join(folder, `out.tmp-${dead}`, "a.txt"), "part");
  writeFileSync(join(folder, `.a.txt.${dead}.tmp`), "part");
  const kept = [`.a.txt.${alive}.tmp`, `.out.txt.tmp`, `out.tmp-${elsewhere}`, "out.tmp-1"];
  for (const name of kept) writeFileSync(join(folder, name), "");
  await removeLeftovers(folder);
  expect(readdirSync(folder).sort()).toEqual(kept.sort());
});

test.each([true, false])(
  "a replacement killed between its renames ends when it is met (new one there: %s)",
  async (there) => {
    const folder = temporaryFolder();
    const out = join(folder, "out");
    const tag = endedTag();
    await writeFolderAtomic(out, fill("old"));
    renameSync(out, join(folder, `out.old-${tag}`));
    if (there) await writeFolderAtomic(join(folder, `out.tmp-${tag}`), fill("new"));
    await settleFolder(out);
    expect(readFileSync(join(out, "a.txt"), "utf8")).toBe(there ? "new" : "old");
    await openOutputFolder(out, { ...options, overwrite: true });
    expect(readdirSync(folder)).toEqual(["out"]);
  },
);
