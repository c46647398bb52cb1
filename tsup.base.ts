import { defineConfig } from "tsup";

/** How every package is built: ESM for Node 20 and bundlers, with types; `require()` of it works from Node 20.19. */
export const library = (entry: string[] | Record<string, string>) =>
  defineConfig({ entry, format: "esm", target: "es2022", dts: true, sourcemap: true, clean: true, treeshake: true });
