import { mutateBytes } from "./mutate-bytes";
import { mutateContainer } from "./mutate-containers";
import { mutateJson } from "./mutate-json";
import { mutateText } from "./mutate-text";
import type { Random } from "./random";

/** A file or folder: contents by path inside, with "" for the file itself. */
export type Input = ReadonlyMap<string, Buffer>;

/** An input with one to three changes, of its files or of which there are. */
export function mutateInput(seed: Input, random: Random, others: readonly Buffer[]): Map<string, Buffer> {
  const input = new Map(seed);
  for (let changes = random.pick([1, 1, 1, 2, 3]); changes > 0; changes--) {
    const names = [...input.keys()].sort();
    const name = random.pick(names);
    if (names.length > 1 && random.oneIn(25)) {
      if (random.oneIn(2)) input.delete(name);
      else input.set(name, input.get(random.pick(names))!);
    } else input.set(name, mutateFile(input.get(name)!, random, others));
  }
  return input;
}

const LARGEST_TEXT = 100_000;

function mutateFile(bytes: Buffer, random: Random, others: readonly Buffer[]): Buffer {
  const deeper = (_: string, part: Buffer) => mutateFile(part, random, others);
  if (!random.oneIn(3)) {
    const changed = mutateContainer(bytes, random, deeper) ?? mutateTextFile(bytes, random);
    if (changed) return changed;
  }
  return mutateBytes(bytes, random, others);
}

/** JSON, a line of JSON, or text. */
function mutateTextFile(bytes: Buffer, random: Random): Buffer | undefined {
  if (bytes.length === 0 || bytes.length > LARGEST_TEXT || bytes.includes(0)) return undefined;
  const text = bytes.toString("utf8");
  if (Buffer.compare(Buffer.from(text), bytes) !== 0) return undefined;
  if (!random.oneIn(5)) {
    const whole = mutateJson(text, random);
    if (whole !== undefined) return Buffer.from(whole);
    const lines = text.split("\n");
    const at = random.below(lines.length);
    const line = mutateJson(lines[at]!, random);
    if (line !== undefined) return Buffer.from(lines.with(at, line).join("\n"));
  }
  return mutateText(text, random);
}
