import { existsSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("../../../", import.meta.url));
const folder = resolve(root, process.env.TENSORAR_REFERENCE ?? "../shared/reference");

/** The folder of reference files, or undefined where this machine has none. */
export const referenceFolder: string | undefined = existsSync(folder) ? folder : undefined;

/** Reference files whose name ends so. */
export function referenceFiles(extension: string): string[] {
  if (referenceFolder === undefined) return [];
  return (readdirSync(referenceFolder, { recursive: true }) as string[])
    .filter((name) => name.endsWith(extension))
    .map((name) => join(folder, name));
}

/** The description of a set of loader files. */
export interface LoaderSet {
  readonly seed: string;
  readonly files: Readonly<
    Record<string, { readonly format: string; readonly bytes: number; readonly refuse?: string }>
  >;
  readonly gpt_weights: readonly {
    readonly name: string;
    readonly shape: readonly number[];
    readonly offset: number;
    readonly scale: number;
  }[];
}

/** The safetensors files that a description lists. */
export interface LoaderFile {
  readonly name: string;
  readonly path: string;
  readonly format: string;
  readonly bytes: number;
  readonly refuse: string | undefined;
  readonly set: LoaderSet;
}

export function loaderFiles(): LoaderFile[] {
  return referenceFiles(".json").flatMap((path) => {
    const set = JSON.parse(readFileSync(path, "utf8")) as LoaderSet;
    if (set.files === undefined || set.gpt_weights === undefined) return [];
    return Object.entries(set.files)
      .filter(([name]) => name.endsWith(".safetensors"))
      .map(([name, { format, bytes, refuse }]) => ({
        ...{ name, path: join(dirname(path), name), format, bytes, refuse, set },
      }));
  });
}

/** Pseudo-weights by the recipe of the reference: FNV-1a of the name, murmur3's finalizer, one rounding to float32. */
export function hashWeights(key: string, length: number, offset: number, scale: number): Float32Array {
  let hash = 0x811c9dc5;
  for (const byte of new TextEncoder().encode(key)) hash = Math.imul(hash ^ byte, 0x01000193);
  return Float32Array.from({ length }, (_, i) => {
    let z = (hash + Math.imul(i, 0x9e3779b9)) | 0;
    z = Math.imul(z ^ (z >>> 16), 0x85ebca6b);
    z = Math.imul(z ^ (z >>> 13), 0xc2b2ae35);
    const u = ((z ^ (z >>> 16)) >>> 8) / 2 ** 24;
    return offset + scale * (2 * u - 1);
  });
}
