import { join } from "node:path";
import { expect, test } from "vitest";
import { readLines } from "../src/files/read-lines";
import { csvSource } from "../src/sources/csv-source";
import { decodeAll, plainPng, temporaryFolder, writeAt } from "./data-helpers";

const root = temporaryFolder();
let files = 0;
const write = (contents: Uint8Array | string) => writeAt(join(root, `text-${files++}`), contents);

const TEXT = "a cat’s café\r\n\r\n“zwei” Vögel";
const PROMPTS = ["a cat’s café", "“zwei” Vögel"];

test.each([
  ["UTF-8", Buffer.from(TEXT)],
  ["UTF-8 with a mark", Buffer.from(`\ufeff${TEXT}`)],
  ["UTF-16, little end first", Buffer.from(`\ufeff${TEXT}`, "utf16le")],
  ["UTF-16, big end first", Buffer.from(`\ufeff${TEXT}`, "utf16le").swap16()],
])("prompts in %s", async (_, bytes) => {
  expect(await readLines(write(bytes))).toEqual(PROMPTS);
});

test("prompts in another encoding are refused by file, line and byte", async () => {
  const file = write(Buffer.from("a dog\na caf\xe9\n", "latin1"));
  await expect(readLines(file)).rejects.toThrow(`${file}: line 2, byte 11 of the file (0xe9): not UTF-8`);
  const unmarked = write(Buffer.from("a dog", "utf16le"));
  await expect(readLines(unmarked)).rejects.toThrow(`${unmarked}, line 1: a control character (U+0000) at place 1`);
});

test.each([
  ["semicolons, as Excel writes where the comma is the decimal sign", "image;caption;class\r\na.png;one, two;b\r\n"],
  ["tabs", "image\tcaption\tclass\na.png\tone, two\tb\n"],
  ["commas", 'class,"image","caption"\nb,a.png,"one, two"\n'],
])("CSV with %s", async (_, csv) => {
  writeAt(join(root, "a.png"), await plainPng([3, 3, 3]));
  const source = await csvSource(writeAt(join(root, "list.csv"), csv));
  expect(source.classes).toEqual(["b"]);
  expect((await decodeAll(source, { size: 1 }))[0]).toMatchObject({ name: "a.png", caption: "one, two" });
});

test("CSV in UTF-16, in cp1252, and with control characters", async () => {
  const csv = 'image,caption\r\na.png,"the cat’s\r\ncafé"\r\n';
  const wide = await csvSource(write(Buffer.from(`\ufeff${csv}`, "utf16le")));
  expect(Array.from(wide.entries(1) as Iterable<{ caption: string }>, ({ caption }) => caption)).toEqual([
    "the cat’s\r\ncafé",
  ]);
  const narrow = write(Buffer.from("image,caption\na.png,the cat\x92s\n", "latin1"));
  await expect(csvSource(narrow)).rejects.toThrow(`${narrow}: line 2, byte 27 of the file (0x92): not UTF-8`);
  const control = write("image,caption\na.png,one\nb.png,t\x07wo\n");
  await expect(csvSource(control)).rejects.toThrow(`${control}, line 3: a control character (U+0007)`);
});
