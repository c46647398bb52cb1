import { defineConfig } from "tsup";

/** How every package is built: ESM for Node 20 and bundlers, with types; scripts/commonjs.mjs adds what `require()` takes. */
export const library = (entry: string[] | Record<string, string>) =>
  defineConfig({ entry, format: "esm", target: "es2022", dts: true, sourcemap: true, clean: true, treeshake: true });
