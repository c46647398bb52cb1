import { appendFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { z } from "zod";
import { readLines } from "../src/conditions/prompts";
import { csvSource } from "../src/data/csv-source";
import { readJsonLines } from "../src/folders/json-lines";
import { decodeAll, plainPng, temporaryFolder, writeAt } from "./data-helpers";
import { runCli } from "./run-cli";

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

test("lines of JSON: a last line that a crash cut off is left out, others that are damaged are listed", async () => {
  const file = write('{"step":1}\n{"step":2}\n{"name":"caf');
  appendFileSync(file, Buffer.of(0xc3)); // half a character
  const schema = z.object({ step: z.number() });
  expect(await readJsonLines(file, schema)).toEqual({ values: [{ step: 1 }, { step: 2 }], damaged: [] });
  const bad = write(Buffer.from('{"step":1}\n{"st\n\n{"step":3}\n{"step":"4"}\n{"step":5,"a":"caf\xe9"}\n', "latin1"));
  const { values, damaged } = await readJsonLines(bad, schema);
  expect(values).toEqual([{ step: 1 }, { step: 3 }]);
  expect(damaged).toEqual([
    expect.stringMatching(/, line 2: not valid JSON/),
    expect.stringMatching(/, line 5: step = "4"/),
    expect.stringMatching(/, line 6: line 1, byte 18 of the file \(0xe9\): not UTF-8/),
  ]);
  expect(await readJsonLines(join(root, "none"), schema)).toEqual({ values: [], damaged: [] });
});

test("a file of settings may have a byte order mark, and is refused by line and byte in another encoding", async () => {
  const marked = write('\ufeff{"size": 0, "out": "x"}');
  expect((await runCli(["data", "--config", marked])).output).toMatch(/"size" = 0/);
  const other = write(Buffer.from('{"out":\n"caf\xe9"}', "latin1"));
  const { status, output } = await runCli(["data", "--config", other]);
  expect(status).toBe(1);
  expect(output).toContain(`${other}: line 2, byte 12 of the file (0xe9): not UTF-8`);
});
