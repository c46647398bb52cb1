import { cp, mkdir, writeFile } from "node:fs/promises";
import { basename, join } from "node:path";
import type { Outcome } from "./outcome";

/** An input that a reader did not take as it should. */
export interface Fault {
  readonly reader: string;
  readonly seed: number;
  readonly index: number;
  readonly outcome: Outcome;
}

/** Copies the input to a folder of its own, with what was said of it. @returns that folder */
export async function keepFault(dir: string, { reader, seed, index, outcome }: Fault, path: string): Promise<string> {
  const folder = join(dir, `${reader}-${seed}-${index}`);
  await mkdir(folder, { recursive: true });
  await cp(path, join(folder, basename(path)), { recursive: true }).catch(() => undefined); // the change may be that it is not there
  const again = `npm run fuzz -- --reader ${reader} --seed ${seed} --case ${index}`;
  await writeFile(join(folder, "fault.txt"), `${outcome.kind}: ${outcome.detail}\n\n${again}\n`);
  return folder;
}

/** What faults of one cause have in common: the error's class and the line of code, or the message without numbers and names. */
export function causeOf({ reader, outcome: { kind, detail } }: Fault): string {
  const [first = "", ...stack] = detail.split("\n");
  const [frame] = stack.flatMap((line) => /(?:packages|apps)\/[^/]+\/src\/.*?:\d+/.exec(line) ?? []);
  const message = first.replace(/"[^"]*"|\/\S+/g, "…").replace(/\d+/g, "0");
  const what = frame === undefined ? message.slice(0, 160) : `${/^(unclear: )?[\w ]+/.exec(message)?.[0]} at ${frame}`;
  return `${reader}: ${kind}: ${what}`;
}
