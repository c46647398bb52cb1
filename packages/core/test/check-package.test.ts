import { mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { checkPackage } from "../src/node";

let project: string;
beforeEach(() => {
  project = realpathSync(mkdtempSync(join(tmpdir(), "check package ")));
});
afterEach(() => rmSync(project, { recursive: true }));

function install(program: string): string {
  const home = join(project, "node_modules", "thing");
  mkdirSync(join(home, "lib"), { recursive: true });
  writeFileSync(join(home, "package.json"), JSON.stringify({ name: "thing", version: "1.2.3", main: "lib/index.js" }));
  writeFileSync(join(home, "lib", "package.json"), JSON.stringify({ type: "commonjs" }));
  writeFileSync(join(home, "lib", "index.js"), program);
  return join(home, "lib", "index.js");
}

const check = (program: string, args?: string[]) =>
  checkPackage("thing", [join(project, "package.json")], program, args);

test("says that a package is absent", async () => {
  expect(await check("")).toEqual({ name: "thing", reason: "it is not installed" });
});

test("tries a package out with arguments, whatever it prints itself", async () => {
  const path = install("console.log('hello'); exports.add = async (a, b) => a + b;");
  expect(await check("return { sum: await loaded.add(...args) };", ["a b", "'c'"])).toEqual({
    name: "thing",
    version: "1.2.3",
    path,
    result: { sum: "a b'c'" },
  });
});

test.each([
  ["exports.x = undefined;", "return loaded.x.y;", /^Cannot read properties of undefined/],
  ["throw new Error('libthing.so: cannot open\\nmore');", "", /^libthing.so: cannot open$/],
  ["throw 'a text';", "", /^a text$/],
  ["process.exit(3);", "", /^it ended the process \(3\)$/],
  ["process.kill(process.pid, 'SIGKILL'); for (;;);", "", /^it ended the process \(SIGKILL\)$/],
])("says why %s is of no use", async (contents, program, reason) => {
  const path = install(contents);
  const found = await check(program);
  expect(found).toEqual({ name: "thing", version: "1.2.3", path, reason: expect.stringMatching(reason) });
});
