// Writes files as torch.save lays them out, for tests and benchmarks: the pickle, the zip file around it, the legacy format.

/** A tensor to describe; strides and offset count elements. */
export interface Described {
  readonly name: string;
  readonly key: string;
  /** Such as FloatStorage. */
  readonly type: string;
  readonly storageElements: number;
  readonly shape: readonly number[];
  readonly strides?: readonly number[];
  readonly offset?: number;
}

const ascii = (text: string) => Buffer.from(text, "latin1");
const byte = (...values: number[]) => Buffer.from(values);

export function text(value: string): Buffer {
  const bytes = Buffer.from(value, "utf8");
  const head = Buffer.alloc(5);
  head.write("X", "latin1");
  head.writeUInt32LE(bytes.byteLength, 1);
  return Buffer.concat([head, bytes]);
}

export function integer(value: number): Buffer {
  if (value < 2 ** 31) {
    const bytes = Buffer.alloc(5);
    bytes.write("J", "latin1");
    bytes.writeInt32LE(value, 1);
    return bytes;
  }
  const bytes = Buffer.alloc(10);
  bytes.set([0x8a, 8]);
  bytes.writeBigInt64LE(BigInt(value), 2);
  return bytes;
}

const integers = (values: readonly number[]) => Buffer.concat([ascii("("), ...values.map(integer), ascii("t")]);
export const named = (module: string, name: string): Buffer => ascii(`c${module}\n${name}\n`);
export const pickle = (...parts: readonly Buffer[]): Buffer => Buffer.concat([byte(0x80, 2), ...parts, ascii(".")]);

export function tensor({ key, type, storageElements, shape, strides, offset = 0 }: Described): Buffer {
  const steps = strides ?? shape.map((_, axis) => shape.slice(axis + 1).reduce((product, size) => product * size, 1));
  return Buffer.concat([
    ...[named("torch._utils", "_rebuild_tensor_v2"), ascii("((")],
    ...[text("storage"), named("torch", type), text(key), text("cpu"), integer(storageElements), ascii("tQ")],
    ...[integer(offset), integers(shape), integers(steps), byte(0x89)],
    ...[named("collections", "OrderedDict"), ascii(")RtR")],
  ]);
}

/** A dictionary of tensors, wrapped as `{ model: … }` where a root is given. */
export function stateDict(tensors: readonly Described[], root?: string): Buffer {
  const items = tensors.flatMap((described) => [text(described.name), tensor(described)]);
  const dict = Buffer.concat([ascii("}("), ...items, ascii("u")]);
  return root === undefined ? pickle(dict) : pickle(ascii("}"), text(root), dict, ascii("s"));
}

export interface ZipPart {
  readonly offset: number;
  readonly bytes: Buffer;
}

/** Where everything of a zip file goes; the contents begin at `contents`. No checksums: PyTorch can leave them out too. */
export function layOutZip(entries: readonly { name: string; bytes: number }[]): {
  headers: ZipPart[];
  contents: number[];
  tail: ZipPart;
} {
  const headers: ZipPart[] = [];
  const contents: number[] = [];
  const central: Buffer[] = [];
  let at = 0;
  for (const { name, bytes } of entries) {
    const path = ascii(name);
    const isLarge = bytes >= 0xffffffff || at >= 0xffffffff;
    const local = Buffer.alloc(30);
    local.writeUInt32LE(0x04034b50, 0);
    local.writeUInt32LE(isLarge ? 0xffffffff : bytes, 18);
    local.writeUInt32LE(isLarge ? 0xffffffff : bytes, 22);
    local.writeUInt16LE(path.byteLength, 26);
    const padding = 64 - ((at + 30 + path.byteLength) % 64); // elements begin at multiples of 64, as PyTorch's do
    local.writeUInt16LE(padding, 28);
    headers.push({ offset: at, bytes: Buffer.concat([local, path, Buffer.alloc(padding)]) });
    const extra = Buffer.alloc(isLarge ? 28 : 0);
    if (isLarge) {
      extra.writeUInt16LE(1, 0);
      extra.writeUInt16LE(24, 2);
      for (const [i, value] of [bytes, bytes, at].entries()) extra.writeBigUInt64LE(BigInt(value), 4 + 8 * i);
    }
    const record = Buffer.alloc(46);
    record.writeUInt32LE(0x02014b50, 0);
    record.writeUInt32LE(isLarge ? 0xffffffff : bytes, 20);
    record.writeUInt32LE(isLarge ? 0xffffffff : bytes, 24);
    record.writeUInt16LE(path.byteLength, 28);
    record.writeUInt16LE(extra.byteLength, 30);
    record.writeUInt32LE(isLarge ? 0xffffffff : at, 42);
    central.push(record, path, extra);
    contents.push(at + 30 + path.byteLength + padding);
    at = contents.at(-1)! + bytes;
  }
  const directory = Buffer.concat(central);
  const end64 = Buffer.alloc(56 + 20 + 22);
  end64.writeUInt32LE(0x06064b50, 0);
  end64.writeBigUInt64LE(44n, 4);
  end64.writeBigUInt64LE(BigInt(entries.length), 24);
  end64.writeBigUInt64LE(BigInt(entries.length), 32);
  end64.writeBigUInt64LE(BigInt(directory.byteLength), 40);
  end64.writeBigUInt64LE(BigInt(at), 48);
  end64.writeUInt32LE(0x07064b50, 56);
  end64.writeBigUInt64LE(BigInt(at + directory.byteLength), 64);
  end64.writeUInt32LE(1, 72);
  end64.writeUInt32LE(0x06054b50, 76);
  end64.writeUInt16LE(Math.min(entries.length, 0xffff), 84);
  end64.writeUInt16LE(Math.min(entries.length, 0xffff), 86);
  end64.writeUInt32LE(directory.byteLength, 88);
  end64.writeUInt32LE(Math.min(at, 0xffffffff), 92);
  return { headers, contents, tail: { offset: at, bytes: Buffer.concat([directory, end64]) } };
}

/** A file of torch.save in memory. */
export function torchZip(data: Buffer, storages: Readonly<Record<string, Uint8Array>>): Buffer {
  const files = [{ name: "x/data.pkl", contents: data as Uint8Array }].concat(
    Object.entries(storages).map(([key, contents]) => ({ name: `x/data/${key}`, contents })),
  );
  const { headers, contents, tail } = layOutZip(files.map(({ name, contents }) => ({ name, bytes: contents.length })));
  const file = Buffer.alloc(tail.offset + tail.bytes.byteLength);
  for (const [i, part] of [...headers, tail].entries()) {
    file.set(part.bytes, part.offset);
    if (i < files.length) file.set(files[i]!.contents, contents[i]!);
  }
  return file;
}

/** The same in the legacy format; `width` is the size of an element of each storage. */
export function torchLegacy(data: Buffer, storages: Readonly<Record<string, Uint8Array>>, width: number): Buffer {
  const magic = pickle(byte(0x8a, 10), Buffer.from("6cfc9c46f9206aa85019", "hex"));
  const system = pickle(ascii("}"), text("little_endian"), byte(0x88), ascii("s"));
  const keys = pickle(ascii("]("), ...Object.keys(storages).map(text), ascii("e"));
  const arrays = Object.values(storages).flatMap((contents) => {
    const length = Buffer.alloc(8);
    length.writeBigInt64LE(BigInt(contents.byteLength / width));
    return [length, Buffer.from(contents)];
  });
  return Buffer.concat([magic, pickle(integer(1001)), system, data, keys, ...arrays]);
}
