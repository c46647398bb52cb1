export interface TiffOptions {
  readonly width: number;
  readonly height: number;
  /** 1: grey; 3: RGB. */
  readonly channels: 1 | 3;
  /** [height, width, channels] */
  readonly values: readonly number[];
  readonly format?: "uint" | "float";
  readonly bits?: 16 | 32;
}

/** An uncompressed TIFF file in one strip, as NumPy's users write it. */
export function tiff({ width, height, channels, values, format = "float", bits = 32 }: TiffOptions): Buffer {
  const data = Buffer.alloc((values.length * bits) / 8);
  for (const [i, value] of values.entries()) {
    if (format === "float") data.writeFloatLE(value, i * 4);
    else if (bits === 32) data.writeUInt32LE(value, i * 4);
    else data.writeUInt16LE(value, i * 2);
  }
  const [SHORT, LONG] = [3, 4];
  const each = (value: number) => new Array<number>(channels).fill(value);
  const entries: [tag: number, type: number, values: number[]][] = [
    [256, LONG, [width]],
    [257, LONG, [height]],
    [258, SHORT, each(bits)],
    [259, SHORT, [1]],
    [262, SHORT, [channels === 3 ? 2 : 1]],
    [273, LONG, [8]],
    [277, SHORT, [channels]],
    [278, LONG, [height]],
    [279, LONG, [data.length]],
    [284, SHORT, [1]],
    [339, SHORT, each(format === "float" ? 3 : 1)],
  ];
  const directory = 8 + data.length;
  let extra = directory + 2 + entries.length * 12 + 4;
  const file = Buffer.alloc(extra + 2 * 6);
  file.write("II");
  file.writeUInt16LE(42, 2);
  file.writeUInt32LE(directory, 4);
  data.copy(file, 8);
  file.writeUInt16LE(entries.length, directory);
  for (const [i, [tag, type, list]] of entries.entries()) {
    const at = directory + 2 + i * 12;
    file.writeUInt16LE(tag, at);
    file.writeUInt16LE(type, at + 2);
    file.writeUInt32LE(list.length, at + 4);
    if (type === LONG) file.writeUInt32LE(list[0]!, at + 8);
    else if (list.length <= 2) for (const [j, value] of list.entries()) file.writeUInt16LE(value, at + 8 + 2 * j);
    else {
      file.writeUInt32LE(extra, at + 8);
      for (const value of list) extra = file.writeUInt16LE(value, extra);
    }
  }
  return file;
}
