import { lstat, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { CHECKSUMS, writeChecksums } from "@tensorar/core/node";
import { type Input, mutateInput } from "./mutate";
import { caseRandom } from "./random";
import type { Reader } from "./reader";

/** Makes the changed inputs of a reader. */
export interface Cases {
  /** Writes input `index` of this seed of randomness into a folder of its own. @returns its path */
  write(seed: number, index: number): Promise<string>;
  /** Removes what was written. */
  clear(): Promise<void>;
  dispose(): Promise<void>;
}

export async function prepareCases(reader: Reader): Promise<Cases> {
  const dir = await mkdtemp(join(tmpdir(), "tensorar-fuzz-"));
  const work = join(dir, "case");
  const seeds = await seedsOf(reader, join(dir, "seeds"));
  const others = seeds.flatMap(({ input }) => [...input.values()]);
  return {
    async write(seed, index) {
      const random = caseRandom(seed, reader.name, index);
      const { name, input } = random.pick(seeds);
      const path = join(work, name);
      const changed = mutateInput(input, random, others);
      await writeInput(path, changed);
      if (!random.oneIn(4)) await renewChecksums(path, changed);
      return path;
    },
    clear: () => rm(work, { recursive: true, force: true }),
    dispose: () => rm(dir, { recursive: true, force: true }),
  };
}

/** @throws Error where a seed is refused: then nothing behind the first check would be tried */
async function seedsOf(reader: Reader, dir: string): Promise<{ name: string; input: Input }[]> {
  await mkdir(dir, { recursive: true });
  await reader.seeds(dir);
  const names = (await readdir(dir)).sort();
  if (names.length === 0) throw new Error(`reader ${reader.name} has no seeds`);
  const seeds = [];
  for (const name of names) {
    seeds.push({ name, input: await readInput(join(dir, name)) });
    await reader.read(join(dir, name)).catch((cause: Error) => {
      throw new Error(`reader ${reader.name} refuses its own seed ${name}: ${cause.message}`, { cause });
    });
  }
  return seeds;
}

async function readInput(path: string): Promise<Input> {
  if (!(await lstat(path)).isDirectory()) return new Map([["", await readFile(path)]]);
  const entries = await readdir(path, { recursive: true, withFileTypes: true });
  const files = entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
  const contents = await Promise.all(
    files.map(async (file) => [file.slice(path.length + 1), await readFile(file)] as const),
  );
  return new Map(contents);
}

async function writeInput(path: string, input: Input): Promise<void> {
  await mkdir(input.has("") ? dirname(path) : path, { recursive: true });
  for (const [name, bytes] of input) {
    const file = name === "" ? path : join(path, name);
    await mkdir(dirname(file), { recursive: true });
    await writeFile(file, bytes);
  }
}

/** So that what is behind the check of a folder's files is tried too. */
async function renewChecksums(path: string, input: Input): Promise<void> {
  const names = [...input.keys()];
  for (const list of names.filter((name) => name.endsWith(CHECKSUMS))) {
    const folder = dirname(list);
    const files = names
      .filter((name) => dirname(name) === folder && name !== list)
      .map((name) => name.slice(folder === "." ? 0 : folder.length + 1));
    await writeChecksums(join(path, folder), files);
  }
}
