import { type DType, quote, TensorARError } from "@tensorar/core";
import { expectWithin, type Limits } from "../limits";
import { bytesPerElement, elementCount } from "../tensor";
import { wrongContents } from "../wrong-contents";

// Format: https://huggingface.co/docs/safetensors#format. A file is the length of the header (8 bytes, little-endian),
// the header (JSON), and the elements of all tensors, one tensor after another without gaps.

const KIND = "a safetensors file";
const BRACE = "{".charCodeAt(0);

/** Bytes before the header. */
export const PREFIX_BYTES = 8;

/** The limit of the reference implementation, for what is written. */
export const MAX_HEADER_BYTES = 100_000_000;
/** Objects and lists of a header: three for every tensor. */
const MAX_BRACKETS = 3_000_000;

export const METADATA_NAME = "__metadata__";

/** Names that would change an object's prototype where readers keep tensors in plain objects. */
export const FORBIDDEN_NAMES: readonly string[] = ["__proto__"];

/** Type names of the format. */
export const STORED_DTYPES: Readonly<Record<DType, string>> = {
  float64: "F64",
  float32: "F32",
  float16: "F16",
  bfloat16: "BF16",
  int64: "I64",
  int32: "I32",
  int16: "I16",
  int8: "I8",
  uint8: "U8",
  bool: "BOOL",
};
const DTYPES = new Map(Object.entries(STORED_DTYPES).map(([dtype, stored]) => [stored, dtype as DType]));

/** What a file says about one tensor. */
export interface HeaderEntry {
  /** Undefined for a type that is not read. */
  readonly dtype: DType | undefined;
  /** Its name in the file. */
  readonly stored: string;
  readonly shape: readonly number[];
  /** First byte of its elements, from the start of the file. */
  readonly begin: number;
  /** Byte after its elements, from the start of the file. */
  readonly end: number;
}

/** A checked header: the entries lie inside the file, do not overlap and leave no gap. */
export interface Header {
  readonly metadata: Readonly<Record<string, string>>;
  readonly entries: ReadonlyMap<string, HeaderEntry>;
}

/**
 * Length of the header, from the first 8 bytes of a file.
 *
 * @param prefix the first bytes of the file, as `recognize` takes them
 * @param source name of the file, for messages
 * @throws TensorARError when the header cannot be inside a file of `fileBytes`
 */
export function headerLength(prefix: Uint8Array, fileBytes: number, source: string, limits: Limits): number {
  if (fileBytes < PREFIX_BYTES || prefix.byteLength < PREFIX_BYTES) throw wrongContents(source, prefix, KIND);
  const length = Number(new DataView(prefix.buffer, prefix.byteOffset).getBigUint64(0, true));
  const available = fileBytes - PREFIX_BYTES;
  const begins = prefix.byteLength === PREFIX_BYTES || prefix[PREFIX_BYTES] === BRACE;
  if (!begins) throw wrongContents(source, prefix, KIND);
  if (length > available) {
    throw new TensorARError(
      `${source}: it was cut off, or is no safetensors file: the header is said to be ${length} bytes long, but ${available} ` +
        `follow, so at least ${length - available} are missing; fetch it again`,
    );
  }
  expectWithin(limits, "headerBytes", length, `${source}: its header`);
  return length;
}

/**
 * Reads and checks a header.
 *
 * @param bytes the header alone
 * @param fileBytes size of the whole file
 * @throws TensorARError on anything that the format does not allow
 */
export function parseHeader(bytes: Uint8Array, fileBytes: number, source: string): Header {
  const text = decodeHeader(bytes, source);
  expectFlat(text, source);
  const json = parseJson(text, source);
  const dataBegin = PREFIX_BYTES + bytes.byteLength;
  const entries = new Map<string, HeaderEntry>();
  let metadata: Readonly<Record<string, string>> = Object.create(null);
  let fields = 0;
  for (const [name, value] of Object.entries(json)) {
    if (name === METADATA_NAME) {
      metadata = parseMetadata(value, source);
      fields += 1 + Object.keys(metadata).length;
    } else {
      entries.set(name, parseEntry(name, value, dataBegin, source));
      fields += 1 + ENTRY_FIELDS.length;
    }
  }
  if (fields !== countFields(text)) {
    throw new TensorARError(`${source}: the header names a tensor or field twice; write the file again`);
  }
  checkLayout(entries, dataBegin, fileBytes, source);
  return { metadata, entries };
}

function decodeHeader(bytes: Uint8Array, source: string): string {
  if (bytes[0] !== "{".charCodeAt(0)) {
    throw new TensorARError(`${source}: the header does not begin with "{"; this is no safetensors file`);
  }
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch (cause) {
    throw new TensorARError(`${source}: the header is not UTF-8; fetch the file again`, { cause });
  }
}

function parseJson(text: string, source: string): Record<string, unknown> {
  try {
    return JSON.parse(text) as Record<string, unknown>; // an object, as it begins with "{"
  } catch (cause) {
    throw new TensorARError(`${source}: the header is not JSON (${(cause as Error).message}); fetch the file again`, {
      cause,
    });
  }
}

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value);

function parseMetadata(value: unknown, source: string): Readonly<Record<string, string>> {
  if (!isObject(value)) {
    throw new TensorARError(`${source}: ${METADATA_NAME} is ${quote(value)}; it must map names to strings`);
  }
  const metadata: Record<string, string> = Object.create(null);
  for (const [name, text] of Object.entries(value)) {
    checkName(name, `${source}: ${METADATA_NAME}`);
    if (typeof text !== "string") {
      throw new TensorARError(`${source}: ${METADATA_NAME} ${quote(name)} is ${quote(text)}; it must be a string`);
    }
    metadata[name] = text;
  }
  return metadata;
}

/** Those that there are have at most 8 letters; messages show them. */
const LONGEST_DTYPE = 32;
const ENTRY_FIELDS: readonly string[] = ["dtype", "shape", "data_offsets"];

function parseEntry(name: string, value: unknown, dataBegin: number, source: string): HeaderEntry {
  checkName(name, source);
  const found = `${source}: tensor ${quote(name)}`;
  const fields = isObject(value) ? Object.keys(value) : [];
  if (!isObject(value) || fields.length !== ENTRY_FIELDS.length || !fields.every((key) => ENTRY_FIELDS.includes(key))) {
    throw new TensorARError(`${found} is ${quote(value)}; it must be an object of ${ENTRY_FIELDS.join(", ")}`);
  }
  const { dtype: stored, shape, data_offsets: offsets } = value;
  if (typeof stored !== "string") throw new TensorARError(`${found}: dtype ${quote(stored)} is not a text`);
  if (stored.length > LONGEST_DTYPE) throw new TensorARError(`${found}: dtype ${quote(stored)} is none`);
  const dtype = DTYPES.get(stored);
  const count = elementCount(shape);
  if (count === undefined) {
    throw new TensorARError(
      `${found}: shape ${quote(shape)} is not a list of at most 64 non-negative integers, below 2^53 in all`,
    );
  }
  if (!isRange(offsets)) {
    throw new TensorARError(`${found}: data_offsets ${quote(offsets)} are not two integers, ascending from 0`);
  }
  const [first, last] = offsets;
  const bytes = dtype === undefined ? last - first : count * bytesPerElement(dtype);
  if (last - first !== bytes) {
    const needs = `shape ${quote(shape)} of ${dtype} needs ${bytes} bytes`;
    throw new TensorARError(`${found}: ${needs}, but data_offsets ${quote(offsets)} hold ${last - first}`);
  }
  return { dtype, stored, shape: shape as number[], begin: dataBegin + first, end: dataBegin + last };
}

function isRange(value: unknown): value is [number, number] {
  if (!Array.isArray(value) || value.length !== 2 || !value.every(Number.isSafeInteger)) return false;
  const [first, last] = value as [number, number];
  return 0 <= first && first <= last;
}

/** Throws where a name of a tensor or of metadata is not safe as a key. */
export function checkName(name: string, where: string): void {
  if (!FORBIDDEN_NAMES.includes(name)) return;
  throw new TensorARError(`${where}: the name ${quote(name)} is not allowed; rename it`);
}

/** Calls `see` with every character of a JSON text that is not inside a string. */
function scan(json: string, see: (character: string) => void): void {
  let inString = false;
  for (let i = 0; i < json.length; i++) {
    const character = json[i]!;
    if (inString && character === "\\") i++;
    else if (character === '"') inString = !inString;
    else if (!inString) see(character);
  }
}

/** The names before a colon, at any depth: JSON.parse keeps only the last of equal ones, other readers the first. */
function countFields(json: string): number {
  let fields = 0;
  scan(json, (character) => {
    if (character === ":") fields++;
  });
  return fields;
}

/** Before it is parsed, as values nested or listed by the million take far more memory than their text. */
function expectFlat(json: string, source: string): void {
  const DEEPEST = 3; // the header, a tensor, its shape
  let depth = 0;
  let brackets = 0;
  scan(json, (character) => {
    if (character === "{" || character === "[") {
      brackets++;
      if (++depth > DEEPEST)
        throw new TensorARError(`${source}: the header is nested deeper than a tensor's shape; write it again`);
    } else if (character === "}" || character === "]") depth--;
  });
  if (brackets <= MAX_BRACKETS) return;
  throw new TensorARError(`${source}: the header has over ${MAX_BRACKETS} objects and lists`, { code: "limit" });
}

function checkLayout(entries: ReadonlyMap<string, HeaderEntry>, dataBegin: number, fileBytes: number, source: string) {
  const inOrder = [...entries].sort(([, a], [, b]) => a.begin - b.begin || a.end - b.end);
  const wanted = inOrder.reduce((end, [, entry]) => Math.max(end, entry.end), dataBegin);
  if (wanted > fileBytes) {
    throw new TensorARError(
      `${source}: it was cut off: the file has ${fileBytes} of ${wanted} bytes, ${wanted - fileBytes} are missing; fetch it again`,
    );
  }
  let filledTo = dataBegin;
  for (const [name, { begin, end }] of inOrder) {
    const found = `${source}: tensor ${quote(name)} at bytes ${begin} to ${end}`;
    if (begin < filledTo) throw new TensorARError(`${found} overlaps the one before, which ends at ${filledTo}`);
    if (begin > filledTo) throw new TensorARError(`${found} leaves a gap after byte ${filledTo}; write the file again`);
    filledTo = end;
  }
  if (filledTo !== fileBytes) {
    throw new TensorARError(`${source}: the tensors end at byte ${filledTo}, the file at ${fileBytes}; fetch it again`);
  }
}
