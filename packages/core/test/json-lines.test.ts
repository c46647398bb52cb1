import { appendFileSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { readChecked, readJsonLines, type Schema } from "../src/node";

const root = mkdtempSync(join(tmpdir(), "json-lines-"));
afterAll(() => rmSync(root, { recursive: true }));
let files = 0;
function write(contents: Uint8Array | string): string {
  const path = join(root, `text-${files++}`);
  writeFileSync(path, contents);
  return path;
}

/** Objects with a number called step, and no more of them than that. */
const schema: Schema<{ step: number }> = {
  safeParse(value) {
    const { step } = value as { step?: unknown };
    if (typeof step === "number") return { success: true, data: { step } };
    return { success: false, error: { issues: [{ path: ["step"], message: "expected a number" }] } };
  },
};

test("lines of JSON: a last line that a crash cut off is left out, others that are damaged are listed", async () => {
  const file = write('{"step":1}\n{"step":2}\n{"name":"caf');
  appendFileSync(file, Buffer.of(0xc3)); // half a character
  expect(await readJsonLines(file, schema)).toEqual({ values: [{ step: 1 }, { step: 2 }], damaged: [] });
  const bad = write(Buffer.from('{"step":1}\n{"st\n\n{"step":3}\n{"step":"4"}\n{"step":5,"a":"caf\xe9"}\n', "latin1"));
  const { values, damaged } = await readJsonLines(bad, schema);
  expect(values).toEqual([{ step: 1 }, { step: 3 }]);
  expect(damaged).toEqual([
    expect.stringMatching(/, line 2: not valid JSON/),
    expect.stringMatching(/, line 5: step = "4": expected a number/),
    expect.stringMatching(/, line 6: line 1, byte 18 of the file \(0xe9\): not UTF-8/),
  ]);
  expect(await readJsonLines(join(root, "none"), schema)).toEqual({ values: [], damaged: [] });
});

test("a JSON file is checked, and what is wrong is said by file, key and value", async () => {
  expect(await readChecked(write('{"step":3}'), schema, "a step")).toEqual({ step: 3 });
  const file = write('{"step":"3"}');
  await expect(readChecked(file, schema, "a step")).rejects.toThrow(
    `${file}: not a step: step = "3": expected a number`,
  );
});
