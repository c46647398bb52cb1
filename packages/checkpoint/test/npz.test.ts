import { mkdtemp, readFile, rm, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { crc32, deflateRawSync } from "node:zlib";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { TensorData } from "../src";
import { openNpz, writeNpz } from "../src/node";

let dir: string;
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), "tensorar npz "));
});
afterAll(() => rm(dir, { recursive: true, force: true }));

const arrays: Record<string, TensorData> = {
  mu: { dtype: "float64", shape: [3], data: Float64Array.of(1.5, -2, 1e300) },
  sigma: { dtype: "float32", shape: [2, 2], data: Float32Array.of(1, 2, 3, 4) },
  arr_0: { dtype: "uint8", shape: [3, 1, 2], data: Uint8Array.of(0, 1, 2, 253, 254, 255) },
  labels: { dtype: "int64", shape: [2], data: BigInt64Array.of(-1n, 2n ** 60n) },
  scalar: { dtype: "int32", shape: [], data: Int32Array.of(7) },
  none: { dtype: "float32", shape: [0, 5], data: new Float32Array(0) },
};

/** An archive as numpy writes it: an `.npy` file of this header, stored or deflated. Built from the formats' descriptions. */
function archive(header: string, elements: Uint8Array, { deflate = false, version = 1, checksum = 0 } = {}): Buffer {
  const fixed = version === 1 ? 10 : 12;
  const text = `${header.padEnd(64 * Math.ceil((fixed + header.length + 1) / 64) - fixed - 1)}\n`;
  const npy = Buffer.alloc(fixed + text.length + elements.length);
  npy.set([0x93, ...Buffer.from("NUMPY"), version, 0]);
  if (version === 1) npy.writeUInt16LE(text.length, 8);
  else npy.writeUInt32LE(text.length, 8);
  npy.write(text, fixed);
  npy.set(elements, fixed + text.length);
  const packed = deflate ? deflateRawSync(npy) : npy;
  const name = Buffer.from("x.npy");
  const sizes = (record: Buffer, at: number) => {
    record.writeUInt16LE(deflate ? 8 : 0, at - 6);
    record.writeUInt32LE((crc32(npy) ^ checksum) >>> 0, at);
    record.writeUInt32LE(packed.length, at + 4);
    record.writeUInt32LE(npy.length, at + 8);
    record.writeUInt16LE(name.length, at + 12);
  };
  const local = Buffer.alloc(30);
  local.writeUInt32LE(0x04034b50, 0);
  sizes(local, 14);
  const central = Buffer.alloc(46);
  central.writeUInt32LE(0x02014b50, 0);
  sizes(central, 16);
  const end = Buffer.alloc(22);
  end.writeUInt32LE(0x06054b50, 0);
  end.writeUInt16LE(1, 8);
  end.writeUInt16LE(1, 10);
  end.writeUInt32LE(46 + name.length, 12);
  end.writeUInt32LE(30 + name.length + packed.length, 16);
  return Buffer.concat([local, name, packed, central, name, end]);
}

async function save(name: string, bytes: Uint8Array): Promise<string> {
  await writeFile(join(dir, name), bytes);
  return join(dir, name);
}

const bytesOf = (values: Float32Array) => new Uint8Array(values.buffer);

describe("openNpz", () => {
  test.each([
    ["stored", { deflate: false }],
    ["deflated", { deflate: true }],
    ["of format version 2", { version: 2 }],
  ])("reads an array %s", async (name, options) => {
    const values = Float32Array.from({ length: 600 }, (_, i) => i / 7);
    const header = "{'descr': '<f4', 'fortran_order': False, 'shape': (200, 3), }";
    const file = await openNpz(await save(`${name}.npz`, archive(header, bytesOf(values), options)));
    expect(file.names).toEqual(["x"]);
    expect(file.info("x")).toMatchObject({ dtype: "float32", shape: [200, 3] });
    expect(await file.read("x")).toEqual({ dtype: "float32", shape: [200, 3], data: values });
    const shapes: (readonly number[])[] = [];
    const rows: number[] = [];
    for await (const { shape, data } of file.rows("x", 77)) {
      shapes.push(shape);
      rows.push(...(data as Float32Array));
    }
    expect(shapes).toEqual([[77, 3], [77, 3], [46, 3]]); // biome-ignore format: one row
    expect(rows).toEqual([...values]);
    expect(() => file.info("y")).toThrow(/no array "y", only x/);
    await file.close();
  });

  test("turns Fortran order around, and refuses to read its rows", async () => {
    const header = "{'descr': '<f4', 'fortran_order': True, 'shape': (2, 3), }";
    const bytes = bytesOf(Float32Array.of(1, 4, 2, 5, 3, 6)); // columns one after another
    const file = await openNpz(await save("fortran.npz", archive(header, bytes)));
    expect([...((await file.read("x")).data as Float32Array)]).toEqual([1, 2, 3, 4, 5, 6]);
    await expect(file.rows("x", 1).next()).rejects.toThrow(/"x": it is in Fortran order.*ascontiguousarray/);
    await file.close();
  });

  test("reads an array whose rows are empty as a whole, and not by rows, which nothing would end", async () => {
    const header = "{'descr': '<f4', 'fortran_order': False, 'shape': (1000000000000, 0), }";
    const file = await openNpz(await save("no-rows.npz", archive(header, new Uint8Array(0))));
    expect((await file.read("x")).shape).toEqual([1e12, 0]);
    await expect(file.rows("x", 1).next()).rejects.toThrow(/"x": \[1000000000000,0\] has rows without elements/);
    await file.close();
  });

  test.each([
    ["objects", "{'descr': '|O', 'fortran_order': False, 'shape': (1,), }", /Python objects, which are never read/],
    ["records", "{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (1,), }", /elements of type/],
    ["big-endian", "{'descr': '>f4', 'fortran_order': False, 'shape': (1,), }", /little-endian/],
    [
      "a shape that does not fit",
      "{'descr': '<f4', 'fortran_order': False, 'shape': (9,), }",
      /4 bytes of elements, a shape of \[9\]/,
    ],
    ["no shape", "{'descr': '<f4', 'fortran_order': False}", /has no shape/],
  ])("lists an array with %s, and refuses to read it", async (name, header, message) => {
    const file = await openNpz(await save(`${name}.npz`, archive(header, bytesOf(Float32Array.of(1)))));
    expect(file.names).toEqual(["x"]);
    expect(() => file.info("x")).toThrow(message);
    await expect(file.read("x")).rejects.toThrow(message);
    await expect(file.read("x")).rejects.toThrow(`${name}.npz`);
    await file.close();
  });

  test("reads no more at once than its limits allow, but rows of it", async () => {
    const bytes = 4 * 300_000;
    const header = "{'descr': '<f4', 'fortran_order': False, 'shape': (300, 1000), }";
    const path = await save("large.npz", archive(header, new Uint8Array(bytes), { deflate: true }));
    const file = await openNpz(path, { limits: { arrayBytes: bytes - 1 } });
    await expect(file.read("x")).rejects.toThrow(
      /has 1200000 bytes, over the limit of 1199999; raise limits.arrayBytes/,
    );
    let rows = 0;
    for await (const { shape } of file.rows("x", 100)) rows += shape[0]!;
    expect(rows).toBe(300);
    await expect(file.rows("x", 300).next()).rejects.toThrow(/a read of 300 rows has 1200000 bytes/);
    await file.close();
    await expect(openNpz(path, { limits: { arrayBytes: Number.NaN } })).rejects.toThrow(/limits.arrayBytes = NaN/);
  });

  test("says when a file was cut off, damaged, or is none", async () => {
    const header = "{'descr': '<f4', 'fortran_order': False, 'shape': (300,), }";
    const values = bytesOf(Float32Array.from({ length: 300 }, (_, i) => i));
    const cut = await save("cut.npz", archive(header, values));
    await truncate(cut, 700);
    const entryEnd = 30 + "x.npy".length + 128 + values.length; // the header of the array takes 128 bytes
    await expect(openNpz(cut)).rejects.toThrow(
      new RegExp(`cut\\.npz.*cut off after 700 bytes: at least ${entryEnd - 700} bytes are missing`),
    );
    // So small that opening it has read all of it.
    const damaged = await openNpz(await save("damaged.npz", archive(header, values, { checksum: 1 })));
    await expect(damaged.read("x")).rejects.toThrow(/"x\.npy" is damaged: its checksum is another/);
    await damaged.close();
    const long = "{'descr': '<f4', 'fortran_order': False, 'shape': (300000,), }";
    const many = bytesOf(new Float32Array(300_000));
    const later = await openNpz(await save("later.npz", archive(long, many, { checksum: 1 })));
    await expect(later.read("x")).rejects.toThrow(/"x\.npy" is damaged: its checksum is another/);
    await later.close();
    const noise = archive(header, values, { deflate: true });
    noise.fill(0xff, 60, 120);
    const noisy = await openNpz(await save("noise.npz", noise));
    await expect(noisy.read("x")).rejects.toThrow(/can't be unpacked|checksum/);
    await noisy.close();
    const text = openNpz(await save("text.npz", Buffer.from("Entry not found")));
    await expect(text).rejects.toThrow(/text\.npz: it is a text that begins "Entry not found", not a zip file/);
  });
});

describe("writeNpz", () => {
  test("what is written is read back, whole arrays and pieces alike", async () => {
    const path = join(dir, "written.npz");
    async function* pieces() {
      yield Float32Array.of(1, 2);
      yield Float32Array.of(3, 4, 5, 6);
    }
    await writeNpz(path, { ...arrays, pieces: { dtype: "float32", shape: [3, 2], rows: pieces() } });
    const file = await openNpz(path);
    expect(file.names).toEqual([...Object.keys(arrays), "pieces"]);
    for (const [name, array] of Object.entries(arrays)) expect(await file.read(name)).toEqual(array);
    expect([...((await file.read("pieces")).data as Float32Array)]).toEqual([1, 2, 3, 4, 5, 6]);
    await file.close();
    await writeNpz(join(dir, "again.npz"), { ...arrays, pieces: { dtype: "float32", shape: [3, 2], rows: pieces() } });
    expect((await readFile(path)).equals(await readFile(join(dir, "again.npz")))).toBe(true);
  });

  test("pieces that do not fill their shape leave the old file", async () => {
    const path = join(dir, "kept.npz");
    await writeNpz(path, { a: arrays.mu! });
    const before = await readFile(path);
    const short = { dtype: "uint8" as const, shape: [3], rows: [Uint8Array.of(1, 2)] };
    await expect(writeNpz(path, { short })).rejects.toThrow(
      /"short": 2 bytes of elements for a shape of \[3\], which takes 3/,
    );
    await expect(writeNpz(path, { b: { dtype: "bfloat16", shape: [1], data: Uint16Array.of(1) } })).rejects.toThrow(
      /no elements of type bfloat16/,
    );
    expect((await readFile(path)).equals(before)).toBe(true);
  });
});
