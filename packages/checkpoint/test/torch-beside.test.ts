import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { openTorchBytes, TensorARError } from "../src/index";
import { convertToSafetensors, openCheckpoint, openTorch, readCheckpoint } from "../src/node";
import { fileOf } from "./tensors";
import { type Described, integer, named, pickle, stateDict, tensor, text, torchLegacy, torchZip } from "./torch-writer";

// What lies beside the weights: objects, tensors of other types, and files that are something else.

const folder = mkdtempSync(join(tmpdir(), "tensorar-beside-"));
afterAll(() => rmSync(folder, { recursive: true }));
const save = (name: string, bytes: Uint8Array | string): string => {
  writeFileSync(join(folder, name), bytes);
  return join(folder, name);
};

const raw = (codes: string) => Buffer.from(codes, "latin1");
const numbers = Float32Array.from({ length: 24 }, (_, i) => i / 8 - 1);
const bytes = new Uint8Array(numbers.buffer);
const weight = (fields: Partial<Described> = {}) =>
  tensor({ name: "a", key: "0", type: "FloatStorage", storageElements: 24, shape: [4, 6], ...fields });
const dict = (items: Readonly<Record<string, Buffer>>) =>
  Buffer.concat([raw("}("), ...Object.entries(items).flatMap(([name, value]) => [text(name), value]), raw("u")]);

/** NEWOBJ, attributes by BUILD. */
const object = (module: string, name: string, state = dict({ eval: integer(1) })) =>
  Buffer.concat([named(module, name), raw(")\x81"), state, raw("b")]);
const called = (module: string, name: string, ...args: Buffer[]) =>
  Buffer.concat([named(module, name), raw("("), ...args, raw("tR")]);

const beside: Readonly<Record<string, Buffer>> = {
  hyper_parameters: object("omegaconf.dictconfig", "DictConfig", dict({ lr: object("omegaconf.nodes", "AnyNode") })),
  torch_version: called("torch.torch_version", "TorchVersion", text("2.6.0+cu124")),
  args: object("argparse", "Namespace"),
  path: called("pathlib", "PosixPath", text("/"), text("data")),
  mode: called("my.code", "Mode", integer(3)), // an enum
  when: called("datetime", "datetime", raw("C\x02\x07\xe8")),
  loss: called("numpy._core.multiarray", "scalar", called("numpy", "dtype", text("f8")), raw("C\x01\x00")),
  // A subclass of dict, one of list, an object made with keywords, and a method of an object that is not made.
  config: Buffer.concat([named("my.code", "Config"), raw(")\x81("), text("a"), integer(1), raw("u")]),
  steps: Buffer.concat([named("my.code", "Steps"), raw(")\x81("), integer(1), integer(2), raw("e")]),
  keywords: Buffer.concat([named("my.code", "Node"), raw(")"), dict({ a: integer(1) }), Buffer.from([0x92])]),
  bound: Buffer.concat([called("builtins", "getattr", object("my.code", "Node"), text("get")), raw(")R")]),
  hostile: called("posix", "system", text("exit 1")),
  itself: raw("}q\x50U\x01ah\x50s"),
};

describe("objects beside the weights", () => {
  test.each([["zip"], ["legacy"]])("are inert, and known by name: %s", async (format) => {
    const data = pickle(dict({ ...beside, state_dict: dict({ a: weight() }) }));
    const file = await openTorchBytes(
      format === "zip" ? torchZip(data, { 0: bytes }) : torchLegacy(data, { 0: bytes }, 4),
    );
    expect(file.root).toBe("state_dict");
    expect(file.names).toEqual(["a"]);
    expect((await file.read("a")).data).toEqual(numbers);
    const whole = await openTorchBytes(torchZip(data, { 0: bytes }), { root: "" });
    expect(Object.fromEntries(whole.unreadable)).toMatchObject({
      hyper_parameters: "omegaconf.dictconfig.DictConfig",
      torch_version: "torch.torch_version.TorchVersion",
      hostile: "posix.system",
      mode: "my.code.Mode",
    });
  });

  test("are an error that names them where they hold the weights", async () => {
    const data = pickle(dict({ ema: object("my.code", "Model", dict({ a: weight() })), steps: integer(3) }));
    const open = openTorchBytes(torchZip(data, { 0: bytes }), {}, "w.pt");
    await expect(open).rejects.toThrow(
      /holds no tensors; it holds "ema" \(an object of my\.code\.Model\).*state_dict\(\)/,
    );
  });
});

describe("tensors of other types", () => {
  const complex = weight({ key: "1", type: "ComplexFloatStorage", storageElements: 3, shape: [3] });
  // As PyTorch writes uint16: bytes without a type, and the type as the last argument.
  const short = Buffer.concat([
    ...[named("torch._utils", "_rebuild_tensor_v3"), raw("((")],
    ...[text("storage"), named("torch.storage", "UntypedStorage"), text("2"), text("cpu"), integer(4), raw("tQ")],
    ...[integer(0), raw("K\x02\x85K\x01\x85\x89"), named("collections", "OrderedDict"), raw(")R")],
    ...[named("torch", "uint16"), raw("tR")],
  ]);
  const quantized = called("torch._utils", "_rebuild_qtensor", raw("N"));
  const items = { a: weight(), freqs: complex, codes: short, q: quantized };
  const storages = { 1: new Uint8Array(24), 2: new Uint8Array(4), 0: bytes };

  test("are refused only where they are read, all at once", async () => {
    const path = save("types.pt", torchZip(pickle(dict(items)), storages));
    const file = await openTorch(path);
    expect(file.names).toEqual(["a", "freqs", "codes", "q"]);
    expect((await file.read("a")).data).toEqual(numbers);
    expect(() => file.info("freqs")).toThrow(/"freqs" can't be read \(torch\.ComplexFloatStorage\)/);
    await expect(file.read("codes")).rejects.toThrow(/"codes" can't be read \(torch\.uint16\)/);
    await file.close();
    const all = readCheckpoint(path);
    await expect(all).rejects.toThrow(
      /"freqs" \(torch.ComplexFloatStorage\), "codes" \(torch.uint16\), "q" \(torch._utils/,
    );
    await expect(all).rejects.toMatchObject({ code: "unsupported" });
    const target = join(folder, "a.safetensors");
    expect(await convertToSafetensors(path, target, { keep: (name) => name === "a" })).toMatchObject({ tensors: 1 });
    await expect(convertToSafetensors(path, target)).rejects.toThrow(/"freqs".*"codes".*"q"/);
  });

  test.each([
    [integer(7), "its version is 7, not 1001; save it again"],
    [dict({ a: integer(1) }), "its version is no number, not 1001; save it again"],
  ])("a legacy file of another version is refused", async (version, message) => {
    const legacy = torchLegacy(pickle(dict({ a: weight() })), { 0: bytes }, 4);
    const own = pickle(integer(1001));
    const at = legacy.indexOf(own);
    const changed = Buffer.concat([legacy.subarray(0, at), pickle(version), legacy.subarray(at + own.length)]);
    await expect(openTorchBytes(changed)).rejects.toThrow(message);
  });

  test("do not hide what follows them in the legacy format", async () => {
    const data = stateDict([
      { name: "freqs", key: "1", type: "ComplexDoubleStorage", storageElements: 2, shape: [2] },
      { name: "a", key: "0", type: "FloatStorage", storageElements: 24, shape: [4, 6] },
    ]);
    const contents = new Uint8Array(32).fill(7);
    const legacy = torchLegacy(data, { 1: contents, 0: bytes }, 4);
    legacy.writeBigInt64LE(2n, legacy.indexOf(contents) - 8); // elements of 16 bytes
    const file = await openTorchBytes(legacy);
    expect((await file.read("a")).data).toEqual(numbers);
  });

  test("of safetensors too", async () => {
    const entry = (dtype: string, shape: number[], begin: number, end: number) => ({
      dtype,
      shape,
      data_offsets: [begin, end],
    });
    const header = { a: entry("F32", [2], 0, 8), u: entry("U16", [2], 8, 12), c: entry("C64", [1], 12, 20) };
    const path = save("types.safetensors", fileOf(JSON.stringify(header), new Uint8Array(20).fill(0)));
    const file = await openCheckpoint(path);
    expect(file.names).toEqual(["a", "u", "c"]);
    expect((await file.read("a")).data).toEqual(new Float32Array(2));
    expect([...file.unreadable]).toEqual([["u", "U16"], ["c", "C64"]]); // biome-ignore format: one row
    await file.close();
    await expect(readCheckpoint(path)).rejects.toThrow(/"u" \(U16\), "c" \(C64\)/);
  });
});

describe("files that are something else", () => {
  const lfs = "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 9000\n";
  const inner = torchZip(pickle(dict({ a: weight() })), { 0: bytes });
  const program = torchZip(pickle(dict({})), {});
  program.write("constants", program.indexOf("data.pkl") - 1); // any entry of this name will do
  test.each<[string, Uint8Array | string, RegExp]>([
    ["a pointer of Git LFS", lfs, /a Git LFS pointer, which stands for a file of 9000 bytes, not .*git lfs pull/],
    ["a web page", "<!DOCTYPE html><html>", /it is a web page, not/],
    [
      "a hub's error",
      '{"error":"Access to model x is restricted"}',
      /answer of a server: "Access to model x is restricted"/,
    ],
    ["nothing", "", /an empty file/],
    ["an archive", raw("\x1f\x8b\x08\x00"), /compressed by gzip/],
    ["a GGUF file", raw("GGUF\x03\x00\x00\x00\x00"), /GGUF/],
    ["an array of NumPy", raw("\x93NUMPY\x01\x00v\x00{'descr'"), /a \.npy file/],
    ["another pickle", pickle(dict({})), /a pickle, but not one of torch.save/],
  ])("%s, whichever way it is opened", async (name, contents, message) => {
    const path = save(name, contents);
    for (const open of [openCheckpoint, openTorch]) {
      await expect(open(path)).rejects.toThrow(TensorARError);
      await expect(open(path)).rejects.toThrow(message);
      await expect(open(path)).rejects.toThrow(path);
    }
  });

  test("parts of files say how much is missing", async () => {
    const zip = save("cut.pt", inner.subarray(0, inner.indexOf(bytes) + 10));
    await expect(openCheckpoint(zip)).rejects.toThrow(/cut off after \d+ bytes: at least 86 bytes are missing/);
    const legacy = torchLegacy(pickle(dict({ a: weight() })), { 0: bytes }, 4);
    const cut = openCheckpoint(save("cut legacy.pt", legacy.subarray(0, legacy.length - 20)));
    await expect(cut).rejects.toThrow(
      new RegExp(`has ${legacy.length - 20} of ${legacy.length} bytes, 20 are missing`),
    );
  });

  test("zip files say what they hold", async () => {
    const npz = Buffer.from(inner);
    for (let at = npz.indexOf("x/data"); at >= 0; at = npz.indexOf("x/data", at + 1)) npz.write("y/", at);
    for (let at = npz.indexOf("data.pkl"); at >= 0; at = npz.indexOf("data.pkl", at + 1)) npz.write("model.pt", at);
    await expect(openCheckpoint(save("zip.pt", npz))).rejects.toThrow(
      /a zip file that holds "y\/model\.pt, y\/data\/0"/,
    );
  });
});

describe("limits", () => {
  test.each<[string, Buffer]>([
    ["marks", Buffer.alloc(2e6, "(")],
    ["lists", Buffer.alloc(1e6, "]")],
    ["remembered values", Buffer.concat([raw("N"), Buffer.alloc(1e6, "\x94", "latin1")])],
    ["numbers", Buffer.alloc(3e6, "K\x01", "latin1")],
  ])("keep a pickle of %s from using up memory", async (_, codes) => {
    const open = openTorchBytes(torchZip(pickle(codes), {}), { limits: { pickleMemory: 2 ** 24 } });
    await expect(open).rejects.toThrow(/more than 16777216 bytes of memory; raise limits.pickleMemory/);
    await expect(open).rejects.toMatchObject({ code: "limit" });
  });

  test("hold for 60 MB of lists by default", async () => {
    const file = torchZip(pickle(Buffer.alloc(60e6, "]")), {});
    const before = process.memoryUsage().rss;
    await expect(openTorchBytes(file)).rejects.toThrow(/limits.pickleMemory/);
    expect(process.memoryUsage().rss - before).toBeLessThan(1e9); // 512 MiB of values, and the pickle
  });

  test("can be lowered and raised", async () => {
    const file = torchZip(pickle(dict({ a: weight() })), { 0: bytes });
    await expect(openTorchBytes(file, { limits: { pickleBytes: 10 } })).rejects.toThrow(
      /pickle has \d+ bytes.*limit of 10/,
    );
    await expect(openTorchBytes(file, { limits: { pickleMemory: 100 } })).rejects.toThrow(/limits.pickleMemory/);
    const small = await openTorchBytes(file, { limits: { tensorBytes: 95 } });
    await expect(small.read("a")).rejects.toThrow(
      /tensor "a" has 96 bytes, over the limit of 95; raise limits.tensorBytes/,
    );
    await expect(openTorchBytes(file, { limits: { tensors: 1 } as object })).rejects.toThrow(/limits.tensors = 1/);
  });
});
