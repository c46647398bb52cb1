import { quote, TensorARError } from "./errors";

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

/**
 * The value of a JSON text, decoded as {@link decodeText} says.
 *
 * @param where what the error names
 * @throws TensorARError naming `where` and the place, when it is not JSON
 */
export function parseJson(contents: Uint8Array | string, where: string): unknown {
  const text = typeof contents === "string" ? contents.replace(/^\ufeff/, "") : decodeText(contents, where);
  try {
    return JSON.parse(text);
  } catch (cause) {
    const { message } = cause as Error;
    throw new TensorARError(`${where}: not valid JSON (${message}); it begins with ${quote(text.slice(0, 40))}`, {
      cause,
    });
  }
}
