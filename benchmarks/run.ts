// npm run bench -- NAME [--json FILE]: runs benchmarks/NAME.bench.ts and prints its rows, as Markdown, as they come.
import { readdirSync } from "node:fs";
import { resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { writeFileAtomic } from "@tensorar/core/node";
import { type Machine, machine } from "./lib/machine";
import type { Row } from "./lib/row";
import { describeMachine, formatTable } from "./lib/table";

/** What a file NAME.bench.ts exports. */
export interface Benchmark {
  run(): AsyncGenerator<Row> | Promise<readonly Row[]>;
}

const folder = fileURLToPath(new URL(".", import.meta.url));
const available = readdirSync(folder)
  .filter((file) => file.endsWith(".bench.ts"))
  .map((file) => file.slice(0, -".bench.ts".length))
  .sort();

const { name, json } = parse(process.argv.slice(2));
const benchmark: Benchmark = await import(`./${name}.bench.ts`);
const here = machine();
console.log(`${name} on ${describeMachine(here)}\n`);
const rows = await collect(benchmark);
console.log(formatTable(rows));
if (json) await save(json, here, rows);

function parse(args: string[]): { name: string; json: string | undefined } {
  try {
    const { positionals, values } = parseArgs({ args, allowPositionals: true, options: { json: { type: "string" } } });
    const [name, ...rest] = positionals;
    if (name === undefined || rest.length > 0) throw new Error("give the name of one benchmark");
    if (!available.includes(name)) throw new Error(`there is no benchmark "${name}"`);
    return { name, json: values.json };
  } catch (error) {
    console.error(
      `${(error as Error).message}\nusage: npm run bench -- NAME [--json FILE]\navailable: ${available.join(", ")}`,
    );
    process.exit(2);
  }
}

/** A benchmark that yields its rows shows how far it is on standard error. */
async function collect(benchmark: Benchmark): Promise<Row[]> {
  const result = benchmark.run();
  if (result instanceof Promise) return [...(await result)];
  const rows: Row[] = [];
  for await (const row of result) {
    rows.push(row);
    console.error(`… ${row.name}: ${row.value.toPrecision(4)} ${row.unit}`);
  }
  return rows;
}

/** A relative path is taken from where the user stood when npm was called. */
async function save(file: string, on: Machine, rows: readonly Row[]): Promise<void> {
  const path = resolve(process.env.INIT_CWD ?? process.cwd(), file);
  const document = { benchmark: name, date: new Date().toISOString(), machine: on, rows };
  await writeFileAtomic(path, `${JSON.stringify(document, null, 2)}\n`);
  console.error(`\nwritten to ${path}`);
}
