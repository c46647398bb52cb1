import { spawn, spawnSync } from "node:child_process";
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { newProcessTag } from "../src/files/process-tag";
import { withLock } from "../src/node";

function temporaryFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), "tensorar-core-"));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  return folder;
}

test("one at a time, and free again afterwards, also after a failure", async () => {
  const folder = temporaryFolder();
  await withLock(folder, async () => {
    const second = withLock(folder, async () => expect.unreachable());
    await expect(second).rejects.toMatchObject({ code: "locked", message: expect.stringContaining(`${process.pid}`) });
  });
  await expect(withLock(folder, async () => Promise.reject(new RangeError("no")))).rejects.toThrow("no");
  expect(await withLock(folder, async () => 7)).toBe(7);
  expect(readdirSync(folder)).toEqual([]);
});

test("the lock of a process that was killed counts for nothing", async () => {
  const folder = temporaryFolder();
  const { pid } = spawnSync(process.execPath, ["--version"]);
  writeFileSync(join(folder, `.lock-${newProcessTag().replace(/^\d+/, String(pid))}`), "");
  expect(await withLock(folder, async () => readdirSync(folder).length)).toBe(1);
});

test("the lock of another host stands, and the message says which file it is", async () => {
  const folder = temporaryFolder();
  const lock = `.lock-${newProcessTag().replace(/-[0-9a-f]{8}/, "-00000000")}`;
  writeFileSync(join(folder, lock), "");
  await expect(withLock(folder, async () => 0)).rejects.toThrow(`remove ${join(folder, lock)}`);
});

test("of processes that begin at once, never two work at a time", { timeout: 30_000 }, async () => {
  const folder = temporaryFolder();
  const program = `import { mkdirSync, rmdirSync } from "node:fs";
    import { withLock } from ${JSON.stringify(new URL("../src/node.ts", import.meta.url).href)};
    const inside = process.argv[1] + "/inside";
    for (let i = 0; i < 30; i++) await withLock(process.argv[1], async () => {
      mkdirSync(inside); // fails where another is inside
      await new Promise((done) => setTimeout(done, 2));
      rmdirSync(inside);
      process.stdout.write("+");
    }).catch((error) => { if (error.code !== "locked") throw error; });`;
  let times = "";
  const run = () =>
    new Promise((resolve) => {
      const args = [
        "--import",
        "tsx",
        "--conditions=@tensorar/source",
        "--input-type=module",
        "--eval",
        program,
        folder,
      ];
      const child = spawn(process.execPath, args, { stdio: ["ignore", "pipe", "inherit"] });
      child.stdout.on("data", (chunk: Buffer) => {
        times += chunk.toString();
      });
      child.on("close", resolve);
    });
  expect(await Promise.all([run(), run()])).toEqual([0, 0]);
  expect(times.length).toBeGreaterThan(20);
  expect(readdirSync(folder)).toEqual([]);
});
