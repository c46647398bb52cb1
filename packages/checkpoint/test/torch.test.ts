import { mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { open } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { castTensor, openTorchBytes, TensorARError } from "../src/index";
import { convertToSafetensors, openCheckpoint, openTorch, readSafetensors, writeSafetensors } from "../src/node";
import { randomTensors } from "./tensors";
import {
  type Described,
  integer,
  layOutZip,
  named,
  pickle,
  stateDict,
  tensor,
  text,
  torchLegacy,
  torchZip,
} from "./torch-writer";

const folder = mkdtempSync(join(tmpdir(), "tensorar-torch-"));
afterAll(() => rmSync(folder, { recursive: true }));

const raw = (codes: string) => Buffer.from(codes, "latin1");
const numbers = Float32Array.from({ length: 24 }, (_, i) => i / 8 - 1);
const bytes = new Uint8Array(numbers.buffer);
const described = (fields: Partial<Described> = {}): Described => ({
  name: "a",
  key: "0",
  type: "FloatStorage",
  storageElements: 24,
  shape: [4, 6],
  ...fields,
});
const openDict = (tensors: readonly Described[], root?: string, options = {}) =>
  openTorchBytes(torchZip(stateDict(tensors, root), { 0: bytes }), options, "w.pt");

describe("the tensors of a pickle", () => {
  test("are the same from a zip file and from the legacy format", async () => {
    const data = stateDict([described(), described({ name: "b", shape: [6, 4], strides: [1, 6] })], "model");
    for (const file of [torchZip(data, { 0: bytes }), torchLegacy(data, { 0: bytes }, 4)]) {
      const opened = await openTorchBytes(file);
      expect(opened.root).toBe("model");
      expect((await opened.read("a")).data).toEqual(numbers);
      const transposed = Float32Array.from({ length: 24 }, (_, i) => numbers[Math.floor(i / 4) + (i % 4) * 6]!);
      expect((await opened.read("b")).data).toEqual(transposed);
    }
  });

  test.each<[string, Partial<Described>, RegExp]>([
    ["past the end", { offset: 1 }, /reach past its 24 elements/],
    ["with strides past the end", { strides: [7, 1] }, /reach past its 24 elements/],
    ["of more elements than 2^53", { shape: [2 ** 30, 2 ** 30], strides: [0, 0] }, /reach past/],
    ["that repeats elements without end", { shape: [2 ** 30, 2 ** 10], strides: [0, 0] }, /its tensors would take/],
    [
      "of a storage of another size",
      { storageElements: 25 },
      /has 96 bytes, but its 25 elements of torch.FloatStorage need 100/,
    ],
    ["of a storage that is not there", { key: "9" }, /storage "9" is not in the file/],
    ["named __proto__", { name: "__proto__" }, /the name "__proto__" is not allowed/],
  ])("are refused: a view %s", async (_, fields, message) => {
    const opened = openDict([described(fields)]);
    await expect(opened).rejects.toThrow(TensorARError);
    await expect(opened).rejects.toThrow(message);
    await expect(opened).rejects.toThrow(/^w\.pt: /);
  });

  test("lose what wrappers add, wherever it stands, unless two become equal", async () => {
    const two = (a: string, b: string) => openDict([described({ name: a }), described({ name: b })]);
    expect((await two("module._orig_mod.a", "module._orig_mod.b")).names).toEqual(["a", "b"]);
    expect(
      (await two("layers.0._orig_mod.w", "layers._fsdp_wrapped_module.1._checkpoint_wrapped_module.w")).names,
    ).toEqual(["layers.0.w", "layers.1.w"]);
    expect((await two("module.a", "b")).names).toEqual(["a", "b"]);
    expect((await two("a_module.w", "b.module")).names).toEqual(["a_module.w", "b.module"]); // names of their own
    const equal = two("layers.0._orig_mod.w", "module.layers.0.w");
    await expect(equal).rejects.toThrow(/"layers.0._orig_mod.w" and "module.layers.0.w" are both "layers.0.w"/);
  });

  test("keep only those that begin with a prefix, without it", async () => {
    const file = () => [described({ name: "gpt.module.a" }), described({ name: "head.a" })];
    expect((await openDict(file(), "model", { stripPrefix: "gpt." })).names).toEqual(["a"]);
    await expect(openDict(file(), "model", { stripPrefix: "bert." })).rejects.toThrow(
      /no name under "model" begins with "bert\."; it holds "model" \(2 tensors\)/,
    );
  });

  test("are found under a root: by default model before ema, else the one asked for", async () => {
    const dict = (name: string) => Buffer.concat([raw("}"), text(name), tensor(described()), raw("s")]);
    const items = [text("ema"), dict("e"), text("model"), dict("m"), text("steps"), integer(7)];
    const file = torchZip(pickle(raw("}("), ...items, raw("u")), { 0: bytes });
    const names = async (root?: string) => (await openTorchBytes(file, { root })).names;
    expect(await names()).toEqual(["m"]);
    expect(await names("ema")).toEqual(["e"]);
    expect(await names("")).toEqual(["ema.e", "model.m"]);
    await expect(names("nothing")).rejects.toThrow(
      /no tensors under the root "nothing"; it holds "ema" \(1 tensor\), "model" \(1 tensor\)/,
    );
    await expect(names("steps")).rejects.toThrow(/no tensors under the root "steps"/);
  });
});

describe("what a pickle may not do", () => {
  const openPickle = (data: Buffer, options = {}) => openTorchBytes(torchZip(data, {}), options, "w.pt");
  test.each([
    ...[
      ["posix", "system"],
      ["os", "system"],
      ["builtins", "eval"],
      ["__builtin__", "exec"],
      ["nt", "system"],
    ],
    ...[
      ["subprocess", "Popen"],
      ["torch.hub", "load"],
      ["builtins", "getattr"],
      ["importlib", "import_module"],
    ],
    ...[
      ["torch", "load"],
      ["collections", "namedtuple"],
      ["constructor", "constructor"],
      ["__proto__", "toString"],
    ],
  ])("run %s.%s, by GLOBAL or STACK_GLOBAL", async (module, name) => {
    const call = [raw("("), text("true"), raw("tR")];
    const stacked = Buffer.concat([text(module!), text(name!), Buffer.from([0x93])]);
    for (const callee of [named(module!, name!), stacked]) {
      await expect(openPickle(pickle(callee, ...call))).rejects.toThrow(
        `w.pt: it holds no tensors; it holds an object of ${module}.${name}`,
      );
    }
  });

  test.each<[string, Buffer, RegExp]>([
    ["use INST", raw("(ios\nsystem\n"), /opcode INST at byte 3/],
    ["use a persistent id of text", raw("Pid\n"), /opcode PERSID/],
    ["use a code that does not exist", raw("\xff"), /opcode 0xff at byte 2/],
    ["take from an empty stack", raw("0"), /not there/],
    ["take across a mark", raw("K\x01(\x85"), /not there/],
    ["remember nothing", raw("h\x05"), /value 5, which it has not stored/],
    ["end early", raw("X\xff\xff\xff\x7f"), /ends early/],
    ["hold a huge integer", raw("\x8b\xff\xff\xff\x7f"), /limit of 256/],
    ["call a list", raw("](tR"), /calls list/],
    ["use a protocol of the future", raw("\x80\x63"), /protocol 99/],
    ["hold only itself", raw("}q\x00U\x01ah\x00sh\x00U\x01bh\x00s"), /holds no tensors/],
  ])("%s", async (_, codes, message) => {
    await expect(openPickle(pickle(codes))).rejects.toThrow(message);
  });

  test("copy one list over and over", async () => {
    const list = Buffer.concat([raw("]q\x00("), Buffer.alloc(20_000, "]]\x86", "latin1"), raw("e0")]);
    const copies = Buffer.alloc(9 * 5000, "ccollections\nOrderedDict\nh\x00\x85R0", "latin1");
    await expect(openPickle(pickle(list, copies))).rejects.toThrow(TensorARError);
  });
});

test("reads tensors behind 5 GB of a zip64 file by ranges", async () => {
  const path = join(folder, "sparse.pt");
  const big = 5 * 2 ** 30;
  const data = stateDict([
    described({ name: "big", key: "1", type: "ByteStorage", storageElements: big, shape: [big] }),
    described({
      name: "column",
      key: "1",
      type: "ByteStorage",
      storageElements: big,
      shape: [3],
      strides: [big / 2 - 1],
    }),
    described(),
  ]);
  const layout = layOutZip([
    { name: "x/data.pkl", bytes: data.byteLength },
    { name: "x/data/1", bytes: big },
    { name: "x/data/0", bytes: bytes.byteLength },
  ]);
  const handle = await open(path, "w");
  for (const part of [...layout.headers, layout.tail])
    await handle.write(part.bytes, 0, part.bytes.length, part.offset);
  await handle.write(data, 0, data.length, layout.contents[0]);
  await handle.write(Uint8Array.of(5), 0, 1, layout.contents[1]! + big - 2);
  await handle.write(bytes, 0, bytes.length, layout.contents[2]);
  await handle.close();
  const before = process.memoryUsage().rss;
  const file = await openTorch(path);
  expect(file.info("big")).toEqual({ dtype: "uint8", shape: [big] });
  expect((await file.read("a")).data).toEqual(numbers);
  expect((await file.read("column")).data).toEqual(Uint8Array.of(0, 0, 5));
  expect(process.memoryUsage().rss - before).toBeLessThan(200e6);
  await file.close();
});

describe("convertToSafetensors", () => {
  test("copies, casts floating-point tensors, reports progress, and keeps the old target on an error", async () => {
    const source = join(folder, "w.pt");
    const target = join(folder, "w.safetensors");
    const ints = described({ name: "i", key: "1", type: "LongStorage", storageElements: 2, shape: [2] });
    const data = stateDict([described(), described({ name: "b", shape: [6], strides: [4] }), ints], "model");
    writeFileSync(source, torchZip(data, { 0: bytes, 1: new Uint8Array(BigInt64Array.of(7n, -1n).buffer) }));
    const progress: number[] = [];
    const result = await convertToSafetensors(source, target, {
      dtype: "bfloat16",
      metadata: { from: "test" },
      onProgress: ({ bytesWritten, bytesTotal }) => progress.push(bytesWritten / bytesTotal),
    });
    expect(result.tensors).toBe(3);
    expect(progress.at(-1)).toBe(1);
    const a = castTensor({ dtype: "float32", shape: [4, 6], data: numbers }, "bfloat16");
    const b = castTensor({ dtype: "float32", shape: [6], data: numbers.filter((_, i) => i % 4 === 0) }, "bfloat16");
    const i = { dtype: "int64", shape: [2], data: BigInt64Array.of(7n, -1n) };
    expect({ ...(await readSafetensors(target)) }).toEqual({ a, b, i });
    await expect(convertToSafetensors(source, target, { root: "none" })).rejects.toThrow(
      /no tensors under the root "none"/,
    );
    expect(Object.keys(await readSafetensors(target)).length).toBe(3);
    await convertToSafetensors(target, target, { dtype: "float32" }); // onto itself
    expect((await readSafetensors(target)).a!.dtype).toBe("float32");
    expect(readdirSync(folder).filter((name) => name.endsWith(".tmp"))).toEqual([]);
  });
});

describe("checkpoints in several files", () => {
  const shards = join(folder, "model.safetensors.index.json");
  const index = (map: unknown) => writeFileSync(shards, JSON.stringify({ metadata: {}, weight_map: map }));

  test("open as one, from safetensors and PyTorch, by file or folder", async () => {
    const tensors = { c: randomTensors(3)[Object.keys(randomTensors(3))[0]!]! };
    await writeSafetensors(join(folder, "1.safetensors"), tensors);
    writeFileSync(join(folder, "2.bin"), torchZip(stateDict([described()]), { 0: bytes }));
    index({ a: "2.bin", c: "1.safetensors" });
    for (const path of [shards, folder]) {
      const file = await openCheckpoint(path);
      expect(file.names).toEqual(["a", "c"]);
      expect((await file.read("a")).data).toEqual(numbers);
      expect(await file.read("c")).toEqual(tensors.c);
      await file.close();
    }
  });

  test.each<[string, unknown, RegExp]>([
    ["a name without end", { a: "x".repeat(256) }, /"x{76}\.\.\. of "a" is not a name in the same folder/],
    ["a file outside", { a: "../2.bin" }, /"..\/2.bin" of "a" is not a name in the same folder/],
    ["no map", [], /weight_map must map/],
    ["a missing file", { a: "3.bin" }, /cannot open .*3.bin.*ENOENT/],
    ["a tensor that its file lacks", { z: "2.bin" }, /2.bin: there is no tensor "z"/],
    ["itself as a shard", { a: "model.safetensors.index.json" }, /it is a JSON text, not a checkpoint/],
  ])("are refused with %s", async (_, map, message) => {
    index(map);
    await expect(openCheckpoint(shards)).rejects.toThrow(message);
  });
});
