import { createRequire } from "node:module";

/** Where a package is looked for: file names or URLs, such as `import.meta.url`. Its folder counts, and those above it. */
export type Places = readonly string[];

/** The path of a file of a package that may be absent; undefined when no place has it. Runs nothing of it. */
export function findOptional(specifier: string, places: Places): string | undefined {
  for (const place of places) {
    try {
      return createRequire(place).resolve(specifier);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "MODULE_NOT_FOUND") throw error;
    }
  }
  return undefined;
}

/**
 * Loads a package that may be absent, or present without what it needs, such as a native library.
 * @returns the module, or in one line why it can't be used
 */
export function loadOptional(name: string, places: Places): { readonly module: unknown } | { readonly reason: string } {
  try {
    const path = findOptional(name, places);
    return path === undefined ? { reason: `${name} is not installed` } : { module: createRequire(path)(path) };
  } catch (error) {
    return { reason: `${name}: ${(error as Error).message.split("\n")[0]}` };
  }
}
