import { describe, expect, test } from "vitest";
import { type DType, parseSafetensors, serializeSafetensors, TensorARError, type TensorData } from "../src/index";
import { bytesPerElement } from "../src/tensor";
import { fileOf, randomIntegers, randomTensors } from "./tensors";

const F32 = (begin: number, end: number, shape = [(end - begin) / 4]) => ({
  dtype: "F32",
  shape,
  data_offsets: [begin, end],
});

describe("a file from the specification", () => {
  test("is read to the letter", () => {
    const header = '{"__metadata__":{"by":"hand"},"a":{"dtype":"F32","shape":[1,2],"data_offsets":[0,8]}}   ';
    const file = fileOf(header, new Uint8Array(Float32Array.of(1.5, -2).buffer));
    const tensors = parseSafetensors(file);
    expect(Object.keys(tensors)).toEqual(["a"]);
    expect(tensors.a).toEqual({ dtype: "float32", shape: [1, 2], data: Float32Array.of(1.5, -2) });
  });

  test("is written to the letter: wide types first, so that all are aligned, then by name", () => {
    const tensors = {
      a: { dtype: "uint8", shape: [3], data: Uint8Array.of(7, 8, 9) },
      c: { dtype: "float32", shape: [], data: Float32Array.of(1) },
      b: { dtype: "float32", shape: [1, 1], data: Float32Array.of(-2) },
    } satisfies Record<string, TensorData>;
    const bytes = serializeSafetensors(tensors, { format: "pt" });
    const json =
      '{"__metadata__":{"format":"pt"},"b":{"dtype":"F32","shape":[1,1],"data_offsets":[0,4]},' +
      '"c":{"dtype":"F32","shape":[],"data_offsets":[4,8]},"a":{"dtype":"U8","shape":[3],"data_offsets":[8,11]}}';
    const padded = json.padEnd(Math.ceil(json.length / 8) * 8);
    expect(bytes).toEqual(fileOf(padded, Uint8Array.of(0, 0, 0, 0xc0, 0, 0, 0x80, 0x3f, 7, 8, 9)));
  });

  test("without tensors is allowed", () => {
    expect(Object.keys(parseSafetensors(serializeSafetensors({})))).toEqual([]);
  });
});

describe("round trips", () => {
  test("of 300 random sets of tensors give the same tensors, and the same bytes in any order", () => {
    for (let seed = 1; seed <= 300; seed++) {
      const tensors = randomTensors(seed);
      const bytes = serializeSafetensors(tensors);
      const read = parseSafetensors(bytes);
      expect({ ...read }).toEqual(tensors);
      const reversed = Object.fromEntries(Object.entries(tensors).reverse());
      expect(serializeSafetensors(reversed)).toEqual(bytes);
    }
  });

  test("views where the bytes are aligned, copies where they are not", () => {
    const bytes = serializeSafetensors({ a: { dtype: "float32", shape: [2], data: Float32Array.of(1, 2) } });
    expect(parseSafetensors(bytes).a!.data.buffer).toBe(bytes.buffer);
    const shifted = new Uint8Array(bytes.byteLength + 1).subarray(1);
    shifted.set(bytes);
    const copy = parseSafetensors(shifted).a!;
    expect(copy.data.buffer).not.toBe(shifted.buffer);
    expect(copy.data).toEqual(Float32Array.of(1, 2));
  });

  test("the result has no prototype to reach by name", () => {
    const tensors = parseSafetensors(
      fileOf(JSON.stringify({ constructor: F32(0, 4), toString: F32(4, 8) }), new Uint8Array(8)),
    );
    expect(Object.keys(tensors)).toEqual(["constructor", "toString"]);
    expect(tensors.hasOwnProperty).toBeUndefined();
  });
});

describe("files that are refused", () => {
  const entry = (fields: object) =>
    JSON.stringify({ a: { dtype: "F32", shape: [2], data_offsets: [0, 8], ...fields } });
  test.each<[string, string, number, RegExp]>([
    ["no JSON", "{nonsense", 0, /header is not JSON/],
    ["a list", "[]", 0, /it is not a safetensors file: it begins with the bytes 02 00/],
    ["leading space", " {}", 0, /it is not a safetensors file: it begins with the bytes 03 00/],
    ["a shape that nests", entry({ shape: [[[2]]] }), 8, /nested deeper than a tensor's shape/],
    ["an empty header", "", 0, /does not begin with "{"/],
    ["a tensor that is a number", '{"a":1}', 0, /tensor "a" is 1; it must be an object of dtype, shape, data_offsets/],
    ["a tensor that is null", '{"a":null}', 0, /tensor "a" is null/],
    ["a missing field", '{"a":{"dtype":"F32","shape":[2]}}', 8, /must be an object of dtype, shape, data_offsets/],
    ["an unknown field", entry({ extra: 1 }), 8, /must be an object of/],
    ["an unknown dtype", entry({ dtype: "F8_E4M3" }), 8, /tensor "a" can't be read \("F8_E4M3"\); convert it/],
    ["a dtype from Object.prototype", entry({ dtype: "constructor" }), 8, /tensor "a" can't be read \("constructor"\)/],
    ["a dtype that is a list", entry({ dtype: ["F32"] }), 8, /dtype \["F32"\] is not a text/],
    ["a shape without end", entry({ shape: new Array(65).fill(1) }), 8, /shape .* is not a list of at most 64/],
    ["a dtype without end", entry({ dtype: "F".repeat(1e5) }), 8, /dtype "F{76}\.\.\. is none/],
    ["a negative size", entry({ shape: [-2] }), 8, /shape \[-2\] is not a list of at most 64 non-negative integers/],
    ["a fractional size", entry({ shape: [0.5, 4] }), 8, /shape \[0.5,4\]/],
    ["a size that is text", entry({ shape: ["2"] }), 8, /shape \["2"\]/],
    ["a shape that is no list", entry({ shape: 2 }), 8, /shape 2 is not a list/],
    ["a shape beyond 2^53", entry({ shape: [2 ** 30, 2 ** 30] }), 8, /shape \[1073741824,1073741824\]/],
    ["a size beyond 2^53", '{"a":{"dtype":"F32","shape":[9007199254740993],"data_offsets":[0,8]}}', 8, /shape/],
    ["an infinite size", '{"a":{"dtype":"F32","shape":[1e999],"data_offsets":[0,8]}}', 8, /shape/],
    ["descending offsets", entry({ data_offsets: [8, 0] }), 8, /data_offsets \[8,0\] are not two integers, ascending/],
    ["negative offsets", entry({ data_offsets: [-8, 0] }), 8, /data_offsets \[-8,0\]/],
    ["one offset", entry({ data_offsets: [8] }), 8, /data_offsets \[8\]/],
    ["fractional offsets", entry({ data_offsets: [0.5, 8.5] }), 8, /data_offsets/],
    ["a shape that needs more", entry({ shape: [3] }), 8, /shape \[3\] of float32 needs 12 bytes, but .* hold 8/],
    ["missing bytes", entry({}), 7, /it was cut off: the file has \d+ of \d+ bytes, 1 are missing/],
    ["bytes left over", entry({}), 9, /the tensors end at byte \d+, the file at \d+/],
    ["a gap at the beginning", entry({ data_offsets: [4, 12] }), 12, /leaves a gap/],
    ["a gap in between", JSON.stringify({ a: F32(0, 4), b: F32(8, 12) }), 12, /tensor "b" .* leaves a gap/],
    ["an overlap", JSON.stringify({ a: F32(0, 8), b: F32(4, 12) }), 12, /tensor "b" .* overlaps/],
    ["the same bytes twice", JSON.stringify({ a: F32(0, 8), b: F32(0, 8) }), 8, /overlaps/],
    ["an empty tensor inside another", JSON.stringify({ a: F32(0, 8), b: F32(4, 4) }), 8, /overlaps/],
    ["a name twice", `{"a":${JSON.stringify(F32(0, 4))},"a":${JSON.stringify(F32(0, 4))}}`, 4, /field twice/],
    ["a field twice", '{"a":{"dtype":"F32","dtype":"F32","shape":[1],"data_offsets":[0,4]}}', 4, /field twice/],
    ["__proto__ as a tensor", `{"__proto__":${JSON.stringify(F32(0, 4))}}`, 4, /the name "__proto__" is not allowed/],
    ["__proto__ as metadata", '{"__metadata__":{"__proto__":"x"}}', 0, /__metadata__: the name "__proto__"/],
    ["metadata that is no object", '{"__metadata__":["x"]}', 0, /__metadata__ is \["x"\]/],
    ["metadata that is a number", '{"__metadata__":{"steps":1}}', 0, /__metadata__ "steps" is 1; it must be a string/],
  ])("%s", (_, header, dataBytes, message) => {
    const call = () => parseSafetensors(fileOf(header, new Uint8Array(dataBytes)), "weights.safetensors");
    expect(call).toThrow(TensorARError);
    expect(call).toThrow(message);
    expect(call).toThrow(/^weights\.safetensors: /);
  });

  test("a header that is not UTF-8", () => {
    const file = fileOf('{"x":1}', new Uint8Array(0));
    file[10] = 0xff;
    expect(() => parseSafetensors(file)).toThrow(/not UTF-8/);
  });

  test("a header that is said to be longer than the file", () => {
    const file = fileOf("{}", new Uint8Array(0));
    file[7] = 0x10; // 2^60 + 2 bytes
    expect(() => parseSafetensors(file)).toThrow(/header is said to be 1152921504606847000 bytes long, but 2 follow/);
  });

  test("a header over the limit, before it is parsed", () => {
    const file = fileOf(" ".repeat(2 ** 25 + 1), new Uint8Array(0));
    file[8] = "{".charCodeAt(0);
    expect(() => parseSafetensors(file)).toThrow(
      /has 33554433 bytes, over the limit of 33554432; raise limits.headerBytes/,
    );
    expect(() => parseSafetensors(file, "x", { headerBytes: 2 ** 26 })).toThrow(/not JSON/);
  });

  test("a header of lists within lists, before it is parsed", () => {
    const deep = fileOf(`{"a":${"[".repeat(30_000_000)}`, new Uint8Array(0));
    expect(() => parseSafetensors(deep)).toThrow(/nested deeper/);
    const wide = fileOf(`{"a":[${"[],".repeat(3_000_001)}1]}`, new Uint8Array(0));
    expect(() => parseSafetensors(wide)).toThrow(/over 3000000 objects and lists/);
  });

  test("every shorter file, and every other header length", () => {
    const file = serializeSafetensors(randomTensors(4), { a: "metadata" });
    for (let length = 0; length < file.byteLength; length++) {
      expect(() => parseSafetensors(file.subarray(0, length))).toThrow(TensorARError);
    }
    const header = new DataView(file.buffer).getUint32(0, true);
    for (let length = 0; length <= file.byteLength; length++) {
      if (length === header) continue;
      const changed = file.slice();
      new DataView(changed.buffer).setUint32(0, length, true);
      expect(() => parseSafetensors(changed)).toThrow(TensorARError);
    }
  });
});

describe("tensors that cannot be written", () => {
  const good: TensorData = { dtype: "float32", shape: [2], data: Float32Array.of(1, 2) };
  test.each<[string, Record<string, TensorData>, RegExp]>([
    [
      "data that is too short",
      { a: { ...good, shape: [3] } },
      /tensor "a": data holds 2 elements; shape \[3\] needs 3/,
    ],
    [
      "data of another type",
      { a: { ...good, dtype: "int32" } },
      /"a": data is a Float32Array; dtype int32 .* Int32Array/,
    ],
    ["an unknown dtype", { a: { ...good, dtype: "float8" as DType } }, /"a": dtype "float8" is unknown; use float64/],
    ["a negative size", { a: { ...good, shape: [-1, -2] } }, /"a": shape \[-1,-2\]/],
    ["the name of the metadata", { __metadata__: good }, /named __metadata__ cannot be stored; rename/],
    ["the name __proto__", JSON.parse('{"__proto__":{}}'), /"__proto__" is not allowed/],
    ["a name that is half a character", { "\ud83d": good }, /not valid Unicode/],
  ])("%s", (_, tensors, message) => {
    expect(() => serializeSafetensors(tensors)).toThrow(TensorARError);
    expect(() => serializeSafetensors(tensors)).toThrow(message);
  });

  test("metadata that is no text", () => {
    expect(() => serializeSafetensors({}, { steps: 3 as unknown as string })).toThrow(/"steps" is 3; convert/);
  });
});

test("5000 damaged headers give an error or what the header says, quickly", () => {
  const started = performance.now();
  let accepted = 0;
  for (let seed = 1; seed <= 5000; seed++) {
    const file = damage(serializeSafetensors(randomTensors(seed % 50), { a: "b" }), seed);
    const tensors = attempt(() => parseSafetensors(file));
    if (tensors === undefined) continue;
    accepted++;
    expectWhatTheHeaderSays(file, tensors);
  }
  expect(accepted).toBeGreaterThan(50); // such as a changed letter of a name
  expect(accepted).toBeLessThan(4000);
  expect(performance.now() - started).toBeLessThan(60_000); // 12 ms each; the ordinary is 0.1 ms
});

function attempt<T>(call: () => T): T | undefined {
  try {
    return call();
  } catch (error) {
    expect(error).toBeInstanceOf(TensorARError);
    return undefined;
  }
}

/** Changes, removes, repeats or inserts a few bytes of the header, and mostly sets its length right again. */
function damage(file: Uint8Array, seed: number): Uint8Array {
  const next = randomIntegers(seed);
  const headerBytes = new DataView(file.buffer).getUint32(0, true);
  const header = Array.from(file.subarray(8, 8 + headerBytes));
  const alphabet = Array.from(new TextEncoder().encode('0123456789-.eE{}[]",:\\ FIUB'));
  for (let change = next(3); change >= 0; change--) {
    const at = next(header.length);
    const length = next(8);
    const kind = next(5);
    if (kind === 0) header[at] = next(256);
    else if (kind === 1) header[at] = alphabet[next(alphabet.length)]!;
    else if (kind === 2) header.splice(at, length);
    else if (kind === 3) header.splice(at, 0, ...header.slice(at, at + length * 8));
    else header.splice(at, 0, alphabet[next(alphabet.length)]!);
  }
  const damaged = fileOf(
    new TextDecoder("latin1").decode(Uint8Array.from(header)),
    file.subarray(8 + headerBytes),
    "latin1",
  );
  if (next(10) === 0) damaged[next(8)] = next(256);
  return damaged;
}

/** Reads the file a second way, straight from its JSON. */
function expectWhatTheHeaderSays(file: Uint8Array, tensors: Readonly<Record<string, TensorData>>): void {
  const headerBytes = new DataView(file.buffer).getUint32(0, true);
  const { __metadata__, ...entries } = JSON.parse(new TextDecoder().decode(file.subarray(8, 8 + headerBytes)));
  expect(Object.keys(tensors)).toEqual(Object.keys(entries));
  let bytes = 8 + headerBytes;
  for (const [name, { dtype, shape, data }] of Object.entries(tensors)) {
    const [begin, end] = entries[name].data_offsets as [number, number];
    expect(shape).toEqual(entries[name].shape);
    expect(data.length).toBe(shape.reduce((product, size) => product * size, 1));
    expect(data.byteLength).toBe(data.length * bytesPerElement(dtype));
    const view = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
    expect(view).toEqual(file.slice(8 + headerBytes + begin, 8 + headerBytes + end));
    bytes += data.byteLength;
  }
  expect(bytes).toBe(file.byteLength);
}
