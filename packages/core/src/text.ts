import { quote, TensorARError } from "./errors";
import { RECOGNIZED_BYTES, recognize } from "./recognize";

/**
 * Bytes of a text that a person or another program wrote: UTF-8, or UTF-16 with a byte order mark. The mark is left out.
 * Nothing is ever replaced: a byte that is not UTF-8 is an error, since a damaged text would be trained on.
 *
 * @param where what the error names: a file, or an archive and its file
 * @throws TensorARError naming `where`, line and byte, when the text is in another encoding
 */
export function decodeText(bytes: Uint8Array, where: string): string {
  const encoding = encodingOf(bytes);
  try {
    return new TextDecoder(encoding, { fatal: true }).decode(bytes);
  } catch (cause) {
    if (encoding !== "utf-8") {
      throw new TensorARError(`${where}: begins as ${encoding}, but is not valid; save the file again, as UTF-8`, {
        cause,
      });
    }
    const at = firstInvalid(bytes);
    const line = bytes.subarray(0, at).reduce((lines, byte) => lines + (byte === LINE_FEED ? 1 : 0), 1);
    const shown = at < bytes.length ? `0x${bytes[at]!.toString(16).padStart(2, "0")}` : "the end";
    throw new TensorARError(
      `${where}: line ${line}, byte ${at} of the file (${shown}): not UTF-8; save the file again as UTF-8 ` +
        "(Excel: “CSV UTF-8”; iconv -f WINDOWS-1252 -t UTF-8)",
      { cause },
    );
  }
}

const LINE_FEED = 0x0a;

function encodingOf([first, second]: Uint8Array): "utf-8" | "utf-16le" | "utf-16be" {
  if (first === 0xff && second === 0xfe) return "utf-16le";
  if (first === 0xfe && second === 0xff) return "utf-16be";
  return "utf-8";
}

/** Offset of the first byte that begins no whole UTF-8 character; the length if there is none. */
function firstInvalid(bytes: Uint8Array): number {
  let valid = 0;
  let limit = bytes.length;
  // The longest prefix that can still become valid, by halving.
  while (valid < limit) {
    const middle = (valid + limit + 1) >> 1;
    if (wholeCharacters(bytes.subarray(0, middle)) === undefined) limit = middle - 1;
    else valid = middle;
  }
  return new TextEncoder().encode(wholeCharacters(bytes.subarray(0, valid))).length;
}

/** The text of a prefix, without a character that it cuts; undefined where it is not UTF-8. */
function wholeCharacters(prefix: Uint8Array): string | undefined {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(prefix, { stream: true });
  } catch {
    return undefined;
  }
}

/** The lines of a text, whatever ends them (LF, CRLF, CR); a line end at the very end begins no further line. */
export function splitLines(text: string): string[] {
  const lines = text.split(/\r\n|\n|\r/);
  if (lines.at(-1) === "") lines.pop();
  return lines;
}

/** Lists and objects within one another that a JSON text may have: nothing here nests deeper, and such texts are made to harm. */
const MAX_DEPTH = 100;

/**
 * The value of a JSON text, decoded as {@link decodeText} says.
 *
 * @param where what the error names
 * @throws TensorARError naming `where` and the place, when it is not JSON, or nests deeper than 100
 */
export function parseJson(contents: Uint8Array | string, where: string): unknown {
  const text = typeof contents === "string" ? contents.replace(/^\ufeff/, "") : decodeText(contents, where);
  if (depthOf(text) > MAX_DEPTH)
    throw new TensorARError(`${where}: its lists and objects nest deeper than ${MAX_DEPTH}`, { code: "limit" });
  try {
    return JSON.parse(text);
  } catch (cause) {
    const found = recognize(new TextEncoder().encode(text.slice(0, RECOGNIZED_BYTES)));
    const what =
      found === undefined || found.kind === "json" || found.kind === "text"
        ? `${(cause as Error).message}; it begins with ${quote(text.slice(0, 40))}`
        : `it is ${found.what}; ${found.remedy}`;
    throw new TensorARError(`${where}: not valid JSON: ${what}`, { cause });
  }
}

/** The deepest nesting of brackets outside of strings. */
function depthOf(json: string): number {
  let depth = 0;
  let deepest = 0;
  let inString = false;
  for (let i = 0; i < json.length; i++) {
    const code = json.charCodeAt(i);
    if (inString && code === 0x5c) i++;
    else if (code === 0x22) inString = !inString;
    else if (inString) continue;
    else if (code === 0x5b || code === 0x7b) deepest = Math.max(deepest, ++depth);
    else if (code === 0x5d || code === 0x7d) depth--;
  }
  return deepest;
}
