import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { chmodSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { open, truncate } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { writeFileAtomic, writeFolderAtomic } from "@tensorar/core/node";
import { afterAll, beforeEach, describe, expect, test } from "vitest";
import { serializeSafetensors, TensorARError, type TensorData } from "../src/index";
import { openSafetensors, readSafetensors, writeSafetensors } from "../src/node";
import { fileOf, randomTensors } from "./tensors";

const root = mkdtempSync(join(tmpdir(), "tensorar-checkpoint-"));
afterAll(() => rmSync(root, { recursive: true }));

let folder = "";
beforeEach(() => {
  folder = mkdtempSync(join(root, "test-"));
});

const ones = (length: number): TensorData => ({
  dtype: "float32",
  shape: [length],
  data: new Float32Array(length).fill(1),
});

describe("openSafetensors", () => {
  test("reads one tensor behind 6 GB, without the rest", async () => {
    const path = join(folder, "sparse.safetensors");
    const big = 6_000_000_000;
    const header = JSON.stringify({
      big: { dtype: "U8", shape: [big], data_offsets: [0, big] },
      small: { dtype: "F32", shape: [2], data_offsets: [big, big + 8] },
    });
    const head = fileOf(header, new Uint8Array(0));
    const handle = await open(path, "w");
    await handle.write(head);
    await handle.write(new Uint8Array(Float32Array.of(3, 4).buffer), 0, 8, head.byteLength + big);
    await handle.close();

    const before = process.memoryUsage().rss;
    const file = await openSafetensors(path);
    expect(file.names).toEqual(["big", "small"]);
    expect(file.info("big")).toEqual({ dtype: "uint8", shape: [big] });
    expect(await file.read("small")).toEqual({ dtype: "float32", shape: [2], data: Float32Array.of(3, 4) });
    expect(process.memoryUsage().rss - before).toBeLessThan(200e6);
    await file.close();
  });

  test("gives metadata, and names what it lacks", async () => {
    const path = join(folder, "a.safetensors");
    await writeSafetensors(path, { a: ones(2), b: ones(3) }, { step: "12" });
    const file = await openSafetensors(path);
    expect({ ...file.metadata }).toEqual({ step: "12" });
    await expect(file.read("c")).rejects.toThrow(`${path}: there is no tensor "c"; it holds 2, such as "a", "b"`);
    expect(() => file.info("toString")).toThrow(TensorARError);
    await file.close();
  });

  test("says so when the file is cut while it is open", async () => {
    const path = join(folder, "cut.safetensors");
    await writeSafetensors(path, { a: ones(1000) });
    const file = await openSafetensors(path);
    await truncate(path, 2000);
    await expect(file.read("a")).rejects.toThrow(/it ended at byte 2000 while being read/);
    await file.close();
  });

  test("refuses what is no file, or is not there", async () => {
    await expect(openSafetensors(folder)).rejects.toThrow(`cannot read "${folder}": it is not a file`);
    const missing = join(folder, "missing.safetensors");
    await expect(openSafetensors(missing)).rejects.toThrow(
      new RegExp(`cannot open "${missing}": ENOENT.*check the path`),
    );
    writeFileSync(missing, "short");
    await expect(openSafetensors(missing)).rejects.toThrow(
      `${missing}: it is a text that begins "short", not a safetensors file`,
    );
  });

  test("refuses a file cut anywhere in its header", async () => {
    const path = join(folder, "cut.safetensors");
    const bytes = serializeSafetensors(randomTensors(4));
    const end = 8 + new DataView(bytes.buffer).getUint32(0, true);
    for (let length = 0; length < end; length++) {
      writeFileSync(path, bytes.subarray(0, length));
      await expect(openSafetensors(path)).rejects.toThrow(TensorARError);
    }
  });
});

describe("writeSafetensors", () => {
  test("writes the bytes that serializeSafetensors gives, and reads them back", async () => {
    const path = join(folder, "a.safetensors");
    for (let seed = 1; seed <= 40; seed++) {
      const tensors = randomTensors(seed);
      await writeSafetensors(path, tensors, { seed: String(seed) });
      expect(new Uint8Array(readFileSync(path))).toEqual(serializeSafetensors(tensors, { seed: String(seed) }));
      expect({ ...(await readSafetensors(path)) }).toEqual(tensors);
    }
    expect(readdirSync(folder)).toEqual(["a.safetensors"]);
  });

  test("keeps the old file when a tensor is malformed", async () => {
    const path = join(folder, "a.safetensors");
    await writeSafetensors(path, { a: ones(2) });
    await expect(writeSafetensors(path, { a: { ...ones(2), shape: [3] } })).rejects.toThrow(/data holds 2 elements/);
    expect((await readSafetensors(path)).a).toEqual(ones(2));
    expect(readdirSync(folder)).toEqual(["a.safetensors"]);
  });

  test("twenty writers of one file leave one of their files, whole", async () => {
    const path = join(folder, "a.safetensors");
    await Promise.all(Array.from({ length: 20 }, (_, i) => writeSafetensors(path, { [`writer${i}`]: ones(1000 + i) })));
    const tensors = Object.entries(await readSafetensors(path));
    expect(tensors.length).toBe(1);
    expect(tensors[0]![1]).toEqual(ones(1000 + Number(tensors[0]![0].slice("writer".length))));
    expect(readdirSync(folder)).toEqual(["a.safetensors"]);
  });
});

describe("writeFileAtomic", () => {
  test("creates and replaces text and bytes", async () => {
    const path = join(folder, "config.json");
    await writeFileAtomic(path, "größer");
    expect(readFileSync(path, "utf8")).toBe("größer");
    await writeFileAtomic(path, Uint8Array.of(1, 2));
    expect(Array.from(readFileSync(path))).toEqual([1, 2]);
    expect(readdirSync(folder)).toEqual(["config.json"]);
  });

  test("names the file, the reason and the remedy, and removes its temporary file", async () => {
    const asFolder = join(folder, "folder");
    mkdirSync(asFolder);
    await expect(writeFileAtomic(asFolder, "x")).rejects.toThrow(
      new RegExp(`cannot write "${asFolder}": EISDIR.*give the path of a file`),
    );
    const lost = join(folder, "missing", "a.json");
    await expect(writeFileAtomic(lost, "x")).rejects.toThrow(new RegExp(`cannot write "${lost}": ENOENT.*not created`));
    const below = join(folder, "file", "a.json");
    writeFileSync(join(folder, "file"), "");
    await expect(writeFileAtomic(below, "x")).rejects.toThrow(/ENOTDIR.*a part of it is a file/);
    expect(readdirSync(folder).sort()).toEqual(["file", "folder"]);
  });

  test.skipIf(process.getuid?.() === 0)(
    "names a folder that may not be written (skipped for root, who may)",
    async () => {
      chmodSync(folder, 0o555);
      await expect(writeFileAtomic(join(folder, "a"), "x")).rejects.toThrow(/EACCES.*change the permissions/);
      chmodSync(folder, 0o755);
    },
  );
});

const mounted = (() => {
  const path = mkdtempSync(join(root, "full-"));
  return spawnSync("mount", ["-t", "tmpfs", "-o", "size=64k", "tmpfs", path]).status === 0 ? path : undefined;
})();
afterAll(() => {
  if (mounted !== undefined) spawnSync("umount", [mounted]);
});

const needsMount = mounted === undefined ? " (skipped: only root may mount a small file system)" : "";
test.skipIf(mounted === undefined)(`a full disk keeps the old file and leaves nothing else${needsMount}`, async () => {
  const path = join(mounted!, "model.safetensors");
  await writeSafetensors(path, { a: ones(2000) });
  const message = new RegExp(`cannot write "${path}": ENOSPC.*the disk is full; free space, or use another disk`);
  await expect(writeSafetensors(path, { a: ones(10_000), b: ones(10_000) })).rejects.toThrow(message);
  await expect(writeFileAtomic(path, new Uint8Array(100_000))).rejects.toThrow(message);
  const next = join(mounted!, "step-2");
  const fill = (temporary: string) => writeSafetensors(join(temporary, "model.safetensors"), { a: ones(20_000) });
  await expect(writeFolderAtomic(next, fill)).rejects.toThrow(/ENOSPC/);
  expect(readdirSync(mounted!)).toEqual(["model.safetensors"]);
  expect((await readSafetensors(path)).a).toEqual(ones(2000));
});

test("a process killed while it writes leaves the old file", async () => {
  const path = join(folder, "model.safetensors");
  await writeSafetensors(path, { a: ones(3) });
  const writer = fileURLToPath(new URL("./slow-writer.ts", import.meta.url));
  const cwd = fileURLToPath(new URL("..", import.meta.url));
  const child = spawn(process.execPath, ["--import", "tsx", "--conditions=@tensorar/source", writer, path], {
    cwd,
    stdio: ["ignore", "ignore", "inherit"],
  });
  const exited = once(child, "exit");
  const partial = () =>
    readdirSync(folder).find((name) => name.endsWith(".tmp") && statSync(join(folder, name)).size > 1_000_000);
  while (partial() === undefined && child.exitCode === null) await sleep(1);
  child.kill("SIGKILL");
  expect(await exited).toEqual([null, "SIGKILL"]);
  expect(partial()).toBeDefined(); // so it was killed in the middle
  expect({ ...(await readSafetensors(path)) }).toEqual({ a: ones(3) });
});

describe("writeFolderAtomic", () => {
  const fill = async (temporary: string) => {
    mkdirSync(join(temporary, "inner"));
    await writeFileAtomic(join(temporary, "config.json"), "{}");
    await writeSafetensors(join(temporary, "inner", "model.safetensors"), { a: ones(2) });
  };

  test("creates a folder with all its files", async () => {
    const path = join(folder, "step-10");
    let absentWhileFilling = false;
    await writeFolderAtomic(path, async (temporary) => {
      await fill(temporary);
      absentWhileFilling = !readdirSync(folder).includes("step-10");
    });
    expect(absentWhileFilling).toBe(true);
    expect(readdirSync(folder)).toEqual(["step-10"]);
    expect(readFileSync(join(path, "config.json"), "utf8")).toBe("{}");
    expect((await readSafetensors(join(path, "inner", "model.safetensors"))).a).toEqual(ones(2));
    mkdirSync(join(folder, "plain"));
    expect(statSync(path).mode).toBe(statSync(join(folder, "plain")).mode);
  });

  test("refuses a name that exists, even if it comes to exist meanwhile, and keeps it", async () => {
    const path = join(folder, "step-10");
    const message = `cannot create the folder "${path}": it exists; choose a new name or remove it`;
    await expect(writeFolderAtomic(path, async () => mkdirSync(path))).rejects.toThrow(message);
    let filled = false;
    const call = writeFolderAtomic(path, async () => {
      filled = true;
    });
    await expect(call).rejects.toThrow(message);
    expect(filled).toBe(false); // no work was done in vain
    expect(readdirSync(folder)).toEqual(["step-10"]);
    expect(readdirSync(path)).toEqual([]);
  });

  test("passes the error of its callback on and leaves nothing", async () => {
    const path = join(folder, "step-10");
    const failing = async (temporary: string) => {
      await fill(temporary);
      throw new RangeError("out of luck");
    };
    await expect(writeFolderAtomic(path, failing)).rejects.toThrow(new RangeError("out of luck"));
    expect(readdirSync(folder)).toEqual([]);
  });

  test("needs the folder above it", async () => {
    await expect(writeFolderAtomic(join(folder, "no", "step"), fill)).rejects.toThrow(
      /ENOENT.*folders are not created/,
    );
  });
});

test("some rows of a tensor are read alone", async () => {
  const path = join(folder, "rows.safetensors");
  const data = Float32Array.from({ length: 12 }, (_, i) => i);
  await writeSafetensors(path, {
    a: { dtype: "uint8", shape: [3], data: Uint8Array.of(1, 2, 3) },
    b: { dtype: "float32", shape: [4, 3], data },
  });
  const file = await openSafetensors(path);
  try {
    expect(await file.readRows("b", 1, 3)).toEqual({ dtype: "float32", shape: [2, 3], data: data.slice(3, 9) });
    expect((await file.readRows("b", 2, 2)).shape).toEqual([0, 3]);
    await expect(file.readRows("b", 3, 5)).rejects.toThrow(/rows 3 to 5 of "b", which has 4/);
  } finally {
    await file.close();
  }
});
