/** What a file turned out to be, where another kind of file was expected. */
export interface Recognized {
  readonly kind:
    | "empty"
    | "zeros"
    | "lfs"
    | "html"
    | "xml"
    | "json"
    | "text"
    | "zip"
    | "gzip"
    | "tar"
    | "archive"
    | "image"
    | "npy"
    | "pickle"
    | "safetensors"
    | "gguf"
    | "hdf5"
    | "pdf"
    | "apple-double";
  /** Completes "it is …": `a web page`. */
  readonly what: string;
  /** What the reader should do: `download the file itself, not its page`. */
  readonly remedy: string;
}

/** As many first bytes as {@link recognize} can use. */
export const RECOGNIZED_BYTES = 1024;

const PICKLE_PROTOCOLS = [2, 3, 4, 5];
const TAR_MAGIC_AT = 257;
/** Of a safetensors file: the length of the header, before its "{". */
const HEADER_LENGTH_BYTES = 8;

/**
 * What bytes are, by their beginning: the contents that people most often get in place of the file that they wanted, such as
 * a pointer of Git LFS, a web page or an archive of it. A reader asks when the bytes are not its own format, and reports
 * `it is ${what}; ${remedy}`.
 *
 * @param bytes the file, or its first {@link RECOGNIZED_BYTES}
 * @returns undefined for what is not known
 */
export function recognize(bytes: Uint8Array): Recognized | undefined {
  const first = bytes.subarray(0, RECOGNIZED_BYTES);
  if (first.length === 0) return { kind: "empty", what: "an empty file", remedy: "fetch or write it again" };
  return binary(first) ?? textual(first);
}

const IMAGE: Pick<Recognized, "kind" | "remedy"> = { kind: "image", remedy: "give the right file" };
const UNPACK: Pick<Recognized, "kind" | "remedy"> = { kind: "archive", remedy: "unpack it and give what is inside" };

/** Signatures by the characters of their code, at the beginning. */
const SIGNATURES: readonly (readonly [signature: string, found: Recognized])[] = [
  ["PK\x03\x04", { kind: "zip", what: "a zip file", remedy: "unpack it and give what is inside" }],
  ["PK\x05\x06", { kind: "zip", what: "an empty zip file", remedy: "fetch or write it again" }],
  ["\x1f\x8b", { kind: "gzip", what: "compressed by gzip", remedy: "unpack it (gunzip, or tar -xzf)" }],
  ["BZh", { ...UNPACK, what: "compressed by bzip2" }],
  ["\xfd7zXZ\0", { ...UNPACK, what: "compressed by xz" }],
  ["\x28\xb5\x2f\xfd", { ...UNPACK, what: "compressed by zstd" }],
  ["7z\xbc\xaf\x27\x1c", { ...UNPACK, what: "a 7-Zip archive" }],
  ["Rar!\x1a", { ...UNPACK, what: "a RAR archive" }],
  ["GGUF", { kind: "gguf", what: "a GGUF file of llama.cpp", remedy: "give the original safetensors or PyTorch weights" }],
  ["\x89HDF\r\n", { kind: "hdf5", what: "an HDF5 file", remedy: "save its arrays as safetensors or .npz" }],
  ["\x93NUMPY", { kind: "npy", what: "a .npy file of NumPy", remedy: "give the file that is meant, or save it with numpy.savez" }],
  ["%PDF-", { kind: "pdf", what: "a PDF document", remedy: "give the right file" }],
  ["\0\x05\x16\x07", { kind: "apple-double", what: "a resource file of macOS (._NAME)", remedy: "give the file without ._ in its name" }],
  ["\x89PNG\r\n\x1a\n", { ...IMAGE, what: "a PNG image" }],
  ["\xff\xd8\xff", { ...IMAGE, what: "a JPEG image" }],
  ["GIF8", { ...IMAGE, what: "a GIF image" }],
  ["II*\0", { ...IMAGE, what: "a TIFF image" }],
  ["MM\0*", { ...IMAGE, what: "a TIFF image" }],
]; // biome-ignore format: a table

const startsWith = (bytes: Uint8Array, signature: string, at = 0): boolean =>
  bytes.length >= at + signature.length && [...signature].every((sign, i) => bytes[at + i] === sign.charCodeAt(0));

const latin1 = (bytes: Uint8Array): string => String.fromCharCode(...bytes);

function binary(first: Uint8Array): Recognized | undefined {
  const known = SIGNATURES.find(([signature]) => startsWith(first, signature));
  if (known) return known[1];
  if (startsWith(first, "RIFF") && startsWith(first, "WEBP", 8)) return { ...IMAGE, what: "a WebP image" };
  if (startsWith(first, "ftyp", 4) && /^(avif|avis|heic|heix|hevc|mif1|msf1)/.test(latin1(first.subarray(8, 12))))
    return { ...IMAGE, what: `an image of the ${/^avi/.test(latin1(first.subarray(8, 12))) ? "AVIF" : "HEIF"} kind` };
  if (startsWith(first, "BM") && startsWith(first, "\0\0\0\0", 6)) return { ...IMAGE, what: "a BMP image" };
  if (/^P[1-7]\s/.test(latin1(first.subarray(0, 3)))) return { ...IMAGE, what: "an image of Netpbm (PPM, PGM)" };
  if (startsWith(first, "ustar", TAR_MAGIC_AT))
    return { kind: "tar", what: "a tar archive", remedy: "unpack it (tar -xf) and give what is inside" };
  if (first[0] === 0x80 && PICKLE_PROTOCOLS.includes(first[1]!))
    return { kind: "pickle", what: "a pickle of Python", remedy: "give the right file" };
  if (startsWith(first, "{", HEADER_LENGTH_BYTES) && startsWith(first, "\0\0", HEADER_LENGTH_BYTES - 2))
    return { kind: "safetensors", what: "a safetensors file", remedy: "give the right file" };
  if (first.every((byte) => byte === 0))
    return {
      kind: "zeros",
      what: "nothing but zeros where it begins",
      remedy: "fetch it again: the download did not end",
    };
  return undefined;
}

const FETCH_ITSELF = "download the file itself, and log in where its owner asks for it";

function textual(first: Uint8Array): Recognized | undefined {
  const text = asText(first)?.trim();
  if (text === undefined || text === "") return undefined;
  const pointer = /^version https:\/\/git-lfs\.github\.com\/spec\/v1\s[\s\S]*?\bsize (\d+)/.exec(text);
  if (pointer || text.startsWith("version https://git-lfs"))
    return {
      kind: "lfs",
      remedy: "run `git lfs pull` in its repository, or download the file itself",
      what: `a Git LFS pointer, which stands for a file${pointer ? ` of ${pointer[1]} bytes` : ""}`,
    };
  if (/^(<!--[\s\S]*?-->\s*)*<(!doctype html|html|head|body|title)\b/i.test(text))
    return { kind: "html", what: "a web page", remedy: FETCH_ITSELF };
  if (text.startsWith("<?xml")) {
    const message = /<Message>([^<]*)/.exec(text)?.[1];
    return {
      kind: "xml",
      what: message ? `the answer of a server: ${shown(message)}` : "an XML text",
      remedy: FETCH_ITSELF,
    };
  }
  if (text.startsWith("{") || text.startsWith("[")) {
    const message = /"(?:error|message|detail|error_description)"\s*:\s*"((?:[^"\\]|\\.)*)/.exec(text)?.[1];
    return message === undefined
      ? { kind: "json", what: "a JSON text", remedy: "give the right file" }
      : { kind: "json", what: `the answer of a server: ${shown(message)}`, remedy: FETCH_ITSELF };
  }
  return { kind: "text", what: `a text that begins ${shown(text)}`, remedy: "give the right file, or fetch it again" };
}

const shown = (text: string): string => {
  const line = text.split(/[\r\n]/, 1)[0]!;
  return JSON.stringify(line.length <= 60 ? line : `${line.slice(0, 57)}...`);
};

/** Undefined where the bytes are not UTF-8, but for a character that is cut, or hold control characters. */
function asText(first: Uint8Array): string | undefined {
  try {
    const text = new TextDecoder("utf-8", { fatal: true }).decode(first, { stream: true });
    return [...text].some((sign) => sign < " " && !"\t\n\r\f".includes(sign)) ? undefined : text;
  } catch {
    return undefined;
  }
}
