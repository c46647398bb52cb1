import { availableParallelism } from "node:os";
import { resolve } from "node:path";
import { Command, Option } from "commander";
import { causeOf, type Fault } from "./lib/faults";
import { prepareCases } from "./lib/inputs";
import { isFault, OUTCOMES, outcomeOf } from "./lib/outcome";
import { Tally, Worker } from "./lib/workers";
import { readers } from "./readers/index";

interface Flags {
  readonly minutes: number;
  readonly files?: number;
  readonly seed: number;
  readonly reader?: string;
  readonly case?: number;
  readonly input?: string;
  readonly jobs: number;
  readonly out: string;
}

const names = readers.map(({ name }) => name);
const flags = new Command("fuzz")
  .description("Changes valid files at random, and counts what the product's readers make of them.")
  .option("--minutes <n>", "how long", Number, 5)
  .option("--files <n>", "stop after so many inputs of each reader", Number)
  .option("--seed <n>", "of the random changes", Number, Date.now() % 1_000_000)
  .addOption(new Option("--reader <name>", "only this one").choices(names))
  .option("--case <n>", "only this input of --reader and --seed", Number)
  .option("--input <path>", "a file or folder in place of changed ones, for --reader")
  .option("--jobs <n>", "processes at a time", Number, Math.max(1, availableParallelism() - 1))
  .option("--out <dir>", "folder for inputs that are not taken as they should be", "runs/fuzz")
  .parse()
  .opts<Flags>();

const out = resolve(flags.out);
const chosen = readers.filter(({ name }) => flags.reader === undefined || name === flags.reader);
process.exitCode = flags.case !== undefined || flags.input !== undefined ? await runOne() : await runMany();

/** One input in this process, with all that it says. */
async function runOne(): Promise<number> {
  const [reader] = chosen;
  if (chosen.length !== 1 || !reader) throw new Error("--case and --input need --reader");
  const cases = await prepareCases(reader);
  const path = flags.input === undefined ? await cases.write(flags.seed, flags.case!) : resolve(flags.input);
  const outcome = await outcomeOf(reader, path);
  console.log(`${path}\n${outcome.kind}: ${outcome.detail}`);
  if (flags.input !== undefined) await cases.dispose();
  return isFault(outcome) ? 1 : 0;
}

async function runMany(): Promise<number> {
  const end = performance.now() + flags.minutes * 60_000;
  const most = flags.files ?? Number.POSITIVE_INFINITY;
  const tally = new Tally();
  const next = new Map(names.map((name) => [name, 0]));
  const step = 200;
  console.log(`seed ${flags.seed}, ${chosen.length} readers, ${flags.jobs} processes`);
  let turn = 0;
  const work = async () => {
    const worker = new Worker();
    for (; performance.now() < end; ) {
      const left = chosen.filter(({ name }) => next.get(name)! < most);
      const reader = left[turn++ % left.length]?.name;
      if (reader === undefined) break;
      const from = next.get(reader)!;
      const to = Math.min(from + step, most);
      next.set(reader, to);
      await worker.run({ reader, seed: flags.seed, from, to, faults: out }, (fault) => tally.add(fault));
    }
    worker.end();
  };
  try {
    await Promise.all(Array.from({ length: flags.jobs }, work));
  } finally {
    print(tally);
  }
  return tally.faults.length > 0 ? 1 : 0;
}

function print({ counts, faults }: Tally): void {
  const width = Math.max(...names.map((name) => name.length));
  const row = (name: string, values: readonly (number | string)[]) =>
    console.log(`${name.padEnd(width)}${values.map((value) => String(value).padStart(9)).join("")}`);
  row("reader", ["inputs", ...OUTCOMES]);
  const total = (of: ReadonlyMap<string, number>) => [...of.values()].reduce((sum, count) => sum + count, 0);
  for (const [name, of] of counts) row(name, [total(of), ...OUTCOMES.map((kind) => of.get(kind) ?? 0)]);
  const all = OUTCOMES.map((kind) => [...counts.values()].reduce((sum, of) => sum + (of.get(kind) ?? 0), 0));
  row("all", [all.reduce((sum, count) => sum + count, 0), ...all]);
  const causes = new Map<string, Fault[]>();
  for (const fault of faults) causes.set(causeOf(fault), [...(causes.get(causeOf(fault)) ?? []), fault]);
  for (const [cause, [first, ...others]] of causes)
    console.log(`\n${others.length + 1} × ${cause}\n  ${out}/${first!.reader}-${first!.seed}-${first!.index}`);
}
