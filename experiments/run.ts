// npm run experiment [-- --dataset NAME] [--size small|full] [--output DIR] [--results FILE] [--threads N]: trains and compares base,
// control and TensorAR on a data set; what was stopped goes on where it was.
import { mkdir } from "node:fs/promises";
import { availableParallelism } from "node:os";
import { dirname, resolve } from "node:path";
import { parseArgs } from "node:util";
import { describeFailure } from "@tensorar/cli";
import { TensorARError } from "@tensorar/core";
import { writeFileAtomic } from "@tensorar/core/node";
import { runExperiment } from "./lib/experiment";
import { resultsPage } from "./lib/page";
import { savePicture } from "./lib/picture";
import { planOf, type Size } from "./lib/plan";
import { writeResults } from "./lib/rows";

const BUGS = "https://github.com/tensorar/tensorar/issues";

/** A relative path is taken from where the user stood when npm was called. */
const from = (path: string): string => resolve(process.env.INIT_CWD ?? process.cwd(), path);

const USAGE =
  "npm run experiment -- [--dataset NAME] [--size small|full] [--output DIR] [--results FILE] [--threads N]";

function valuesOf(args: string[]) {
  try {
    return parseArgs({
      args,
      options: {
        dataset: { type: "string", default: "emoji" },
        size: { type: "string", default: "full" },
        output: { type: "string" },
        results: { type: "string" },
        threads: { type: "string", default: String(availableParallelism()) },
      },
    }).values;
  } catch (cause) {
    throw new TensorARError(`${(cause as Error).message}; usage: ${USAGE}`, { cause });
  }
}

function parse(args: string[]) {
  const values = valuesOf(args);
  const { dataset } = values;
  const size = sizeOf(values.size);
  const output = from(values.output ?? `runs/experiment/${size}/${dataset}`);
  const threads = Number(values.threads);
  if (!Number.isInteger(threads) || threads < 1)
    throw new TensorARError(`--threads ${values.threads}: give a positive whole number`);
  return {
    dataset,
    size,
    output,
    results: from(values.results ?? `${output}/results.json`),
    threads,
  };
}

function sizeOf(value: string): Size {
  if (value === "small" || value === "full") return value;
  throw new TensorARError(`--size ${value}: choose small or full`);
}

async function main(): Promise<void> {
  const { dataset, size, output, results, threads } = parse(process.argv.slice(2));
  await mkdir(output, { recursive: true });
  const plan = planOf(dataset, size);
  const own = await runExperiment(output, plan, threads);
  const page = results.replace(/\.json$/, ".md");
  await mkdir(dirname(results), { recursive: true });
  await savePicture(results.replace(/\.json$/, `-${dataset}.png`), output, own.rows, plan);
  await writeFileAtomic(page, resultsPage(await writeResults(results, dataset, own)));
  console.log(`\n${own.rows.length} rows in ${results}, a page of them in ${page}`);
}

try {
  await main();
} catch (error) {
  const { text, exitCode } = describeFailure(error, { name: "the experiment", bugs: BUGS });
  console.error(text);
  process.exitCode = exitCode;
}
