import { gunzipSync, gzipSync } from "node:zlib";
import { unzipSync, zipSync } from "fflate";
import { mutateJson } from "./mutate-json";
import type { Random } from "./random";

// Changes inside of a container, with the lengths and checksums around them made right again: otherwise nearly all changes
// would end at the first check.

/** Changes a part of a file; the name tells its format. */
export type MutatePart = (name: string, bytes: Buffer) => Buffer;
type Change = (bytes: Buffer, random: Random, mutatePart: MutatePart) => Buffer | undefined;

/** Undefined where the bytes are not of this format. */
const attempt = <T>(read: () => T): T | undefined => {
  try {
    return read();
  } catch {
    return undefined;
  }
};

/** Bytes of an entry in a zip's directory, at least. */
const ZIP_ENTRY = 46;

/** Whether a zip has no more entries than fit into it: `unzipSync` goes through as many as an earlier change made it claim. */
function claimsWhatFits(bytes: Buffer): boolean {
  const end = bytes.lastIndexOf("PK\x05\x06", undefined, "latin1");
  if (end < 0 || end + 10 > bytes.length || bytes.includes("PK\x06\x07", 0, "latin1")) return false; // none, or zip64
  return bytes.readUInt16LE(end + 8) <= bytes.length / ZIP_ENTRY;
}

const zip: Change = (bytes, random, mutatePart) => {
  if (bytes.length < 4 || bytes.readUInt32LE(0) !== 0x04034b50 || !claimsWhatFits(bytes)) return undefined;
  const files = attempt(() => unzipSync(bytes));
  const names = Object.keys(files ?? {});
  if (!files || names.length === 0) return undefined;
  const name = random.pick(names);
  const contents = files[name]!;
  switch (random.below(8)) {
    case 0:
      delete files[name];
      break;
    case 1:
      files[random.pick([`${name}x`, "../x", "/x", "", "a/b/c.npy"])] = contents;
      break;
    default:
      files[name] = Uint8Array.from(mutatePart(name, Buffer.from(contents)));
  }
  return Buffer.from(zipSync(files, { level: random.oneIn(2) ? 0 : 6 }));
};

const gzip: Change = (bytes, _, mutatePart) => {
  if (bytes[0] !== 0x1f || bytes[1] !== 0x8b) return undefined;
  const contents = attempt(() => gunzipSync(bytes));
  return contents && gzipSync(mutatePart("inside.tar", contents));
};

const safetensors: Change = (bytes, random) => {
  if (bytes[8] !== 0x7b) return undefined;
  const length = Number(bytes.readBigUInt64LE(0));
  if (length > bytes.length - 8) return undefined;
  const header = mutateJson(bytes.toString("utf8", 8, 8 + length), random);
  if (header === undefined) return undefined;
  const text = Buffer.from(header);
  const prefix = Buffer.alloc(8);
  prefix.writeBigUInt64LE(BigInt(text.length));
  return Buffer.concat([prefix, text, bytes.subarray(8 + length)]);
};

const npy: Change = (bytes, random) => {
  if (bytes.toString("latin1", 1, 6) !== "NUMPY") return undefined;
  const length = bytes.readUInt16LE(8);
  const header = bytes.toString("latin1", 10, 10 + length).trimEnd();
  const changed = random.pick<() => string>([
    () =>
      header.replace(
        /'descr': '[^']*'/,
        `'descr': '${random.pick(["<f2", ">f8", "<i8", "|O", "<U3", "|b1", "<c8", "V7"])}'`,
      ),
    () => header.replace("False", "True"),
    () =>
      header.replace(
        /'shape': \([^)]*\)/,
        `'shape': (${random.pick(["", "0,", "-1,", "3, 0", "1000000000,", "2, 99999999999", "1e3,", "1,2,3,4,5,6"])})`,
      ),
    () => header.slice(0, random.below(header.length)),
    () => header.replace(/\d+/, (digits) => `${digits}0`),
  ])();
  const text = Buffer.from(changed.padEnd(length), "latin1");
  const prefix = Buffer.from(bytes.subarray(0, 10));
  prefix.writeUInt16LE(text.length, 8);
  return Buffer.concat([prefix, text, bytes.subarray(10 + length)]);
};

const BLOCK = 512;

/** A field of a tar header, with the header's checksum after it. */
const tar: Change = (bytes, random) => {
  const headers = Array.from({ length: Math.floor(bytes.length / BLOCK) }, (_, i) => i * BLOCK).filter(
    (at) => bytes.toString("latin1", at + 257, at + 262) === "ustar",
  );
  if (headers.length === 0) return undefined;
  const copy = Buffer.from(bytes);
  const header = copy.subarray(random.pick(headers)).subarray(0, BLOCK);
  const [at, length, value] = random.pick([
    [0, 100, random.pick(["../x.png", "/x.png", "a.png", "", "x".repeat(100), "a.b.c.png", "\u00e9.jpg"])],
    [124, 12, random.pick(["77777777777", "00000000000", "-0000000001", "00000000777", "x"])],
    [156, 1, random.pick(["0", "1", "2", "5", "6", "L", "x", "g", "V"])],
    [157, 100, random.pick(["/etc/passwd", "a.png"])],
  ] as const);
  header.fill(0, at, at + length);
  header.write(value, at, length, "latin1");
  header.fill(" ", 148, 156);
  header.write(
    `${header
      .reduce((sum, byte) => sum + byte, 0)
      .toString(8)
      .padStart(6, "0")}\0 `,
    148,
    "latin1",
  );
  return copy;
};

const CONTAINERS = [zip, gzip, safetensors, npy, tar];

/** A change inside of a container; undefined where the file is none. */
export function mutateContainer(bytes: Buffer, random: Random, mutatePart: MutatePart): Buffer | undefined {
  if (bytes.length < 16) return undefined;
  for (const change of CONTAINERS) {
    const changed = change(bytes, random, mutatePart);
    if (changed) return changed;
  }
  return undefined;
}
