import { expect, test } from "vitest";
import { decodeText, parseJson, splitLines, TensorARError } from "../src/index";

const utf8 = (text: string) => new TextEncoder().encode(text);
const utf16 = (text: string, mark: readonly number[], littleEndian: boolean) => {
  const bytes = new Uint8Array(2 + 2 * text.length);
  bytes.set(mark);
  for (let i = 0; i < text.length; i++)
    new DataView(bytes.buffer).setUint16(2 + 2 * i, text.charCodeAt(i), littleEndian);
  return bytes;
};
const TEXT = "größer – 猫 🐈\r\nzwei";

test.each([
  ["UTF-8", utf8(TEXT)],
  ["UTF-8 with a byte order mark", utf8(`\ufeff${TEXT}`)],
  ["UTF-16, little-endian", utf16(TEXT, [0xff, 0xfe], true)],
  ["UTF-16, big-endian", utf16(TEXT, [0xfe, 0xff], false)],
])("%s is decoded, without a mark", (_, bytes) => {
  expect(decodeText(bytes, "a.txt")).toBe(TEXT);
});

test("nothing is an empty text", () => expect(decodeText(new Uint8Array(0), "a.txt")).toBe(""));

test.each([
  ["cp1252", [...utf8("ok\nThe cat"), 0x92, ...utf8("s")], 2, 10],
  ["a character cut off", [...utf8("abc"), 0xe7, 0x8c], 1, 3],
  ["a surrogate", [...utf8("\n\n"), 0xed, 0xa0, 0x80], 3, 2],
])("%s is refused with line and byte", (_, bytes, line, byte) => {
  const call = () => decodeText(Uint8Array.from(bytes), "captions.csv");
  expect(call).toThrow(TensorARError);
  expect(call).toThrow(`captions.csv: line ${line}, byte ${byte} of the file`);
});

test("UTF-16 cut in the middle of a character is refused", () => {
  expect(() => decodeText(utf16("ab", [0xff, 0xfe], true).subarray(0, 5), "a.txt")).toThrow(
    /a\.txt: begins as utf-16le, but is not valid/,
  );
});

test.each([
  ["a\nb", ["a", "b"]],
  ["a\r\nb\r\n", ["a", "b"]],
  ["a\rb\n\n", ["a", "b", ""]],
  ["", []],
])("lines of %j", (text, lines) => expect(splitLines(text)).toEqual(lines));

test("JSON may begin with a mark, and is named where it is none", () => {
  expect(parseJson(utf8('\ufeff{"a": 1}'), "a.json")).toEqual({ a: 1 });
  expect(parseJson('\ufeff{"a": 1}', "a.json")).toEqual({ a: 1 });
  expect(parseJson(`${"[".repeat(100)}"[[{"${"]".repeat(100)}`, "a.json")).toHaveLength(1);
  expect(() => parseJson("[".repeat(10e6), "a.json")).toThrow(/^a\.json: .*nest deeper than 100/);
  expect(() => parseJson('{"a": 1', "a.json")).toThrow(/^a\.json: not valid JSON: .*it begins with "{\\"a\\": 1"/);
  expect(() => parseJson("<!DOCTYPE html>", "a.json")).toThrow(/^a\.json: not valid JSON: it is a web page/);
});
