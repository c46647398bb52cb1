// After a package's build: its entries for CommonJS, in dist/. The code exists once, as ES modules, so that there is one state
// and one class of everything; `require()` takes those from Node 20.19 on, and NAME.cjs passes them on. The types exist twice,
// since TypeScript's node16 refuses to `require()` an ES module: NAME.d.cts is NAME.d.ts under another name.
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";

const { exports } = JSON.parse(readFileSync("package.json", "utf8"));
const named = (value) => (typeof value === "string" ? [value] : Object.values(value ?? {}).flatMap(named));
for (const file of named(Object.values(exports).map((entry) => entry.require))) {
  if (!file.endsWith(".cjs")) continue;
  writeFileSync(file, `module.exports = require("./${basename(file, ".cjs")}.js");\n`);
}
for (const file of readdirSync("dist").filter((name) => name.endsWith(".d.ts"))) {
  const types = readFileSync(join("dist", file), "utf8");
  writeFileSync(
    join("dist", file.replace(/\.d\.ts$/, ".d.cts")),
    types.replace(/(from\s*|import\()(["']\.\/[^"']+)\.js(["'])/g, "$1$2.cjs$3"),
  );
}
