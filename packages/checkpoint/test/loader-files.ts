import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { referenceFiles, type WeightRecipe } from "@tensorar/testing";

/** The description of a set of loader files. */
export interface LoaderSet {
  readonly seed: string;
  readonly files: Readonly<
    Record<string, { readonly format: string; readonly bytes: number; readonly refuse?: string }>
  >;
  readonly gpt_weights: readonly WeightRecipe[];
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
        name,
        path: join(dirname(path), name),
        format,
        bytes,
        refuse,
        set,
      }));
  });
}
