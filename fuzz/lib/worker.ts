import { readers } from "../readers/index";
import { keepFault } from "./faults";
import { type Cases, prepareCases } from "./inputs";
import { isFault, type Outcome, outcomeOf } from "./outcome";

/** What a worker is asked to do. */
export interface Job {
  readonly reader: string;
  readonly seed: number;
  readonly from: number;
  readonly to: number;
  /** Folder for inputs that are not taken as they should be. */
  readonly faults: string;
}

/** What it says: before an input, and after it. */
export type Report =
  | { readonly begun: number; readonly path: string }
  | { readonly ended: number; readonly outcome: Outcome }
  | { readonly done: true }
  | { readonly failed: string };

const report = (value: Report) => new Promise<void>((resolve) => process.send!(value, () => resolve()));

const prepared = new Map<string, Cases>();
let unhandled: unknown;
process.on("unhandledRejection", (reason) => {
  unhandled = reason;
});

async function work({ reader: name, seed, from, to, faults }: Job): Promise<void> {
  const reader = readers.find((each) => each.name === name)!;
  const cases = prepared.get(name) ?? (await prepareCases(reader));
  prepared.set(name, cases);
  for (let index = from; index < to; index++) {
    const path = await cases.write(seed, index);
    await report({ begun: index, path });
    unhandled = undefined;
    let outcome = await outcomeOf(reader, path);
    await new Promise((resolve) => setImmediate(resolve));
    if (unhandled !== undefined)
      outcome = { kind: "raw", detail: `nobody handles: ${(unhandled as Error)?.stack ?? String(unhandled)}` };
    if (isFault(outcome)) await keepFault(faults, { reader: name, seed, index, outcome }, path);
    await report({ ended: index, outcome });
    await cases.clear();
  }
  await report({ done: true });
}

process.on("message", (job: Job) => {
  work(job).catch((error: Error) => report({ failed: error.stack ?? error.message }));
});
process.on("disconnect", () => process.exit());
