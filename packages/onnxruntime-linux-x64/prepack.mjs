// Takes what Linux x64 needs of onnxruntime-node into dist/: its JavaScript, which loads ../bin, and the libraries.
import { cpSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";

const source = dirname(createRequire(import.meta.url).resolve("onnxruntime-node/package.json"));
const target = join(import.meta.dirname, "dist");
const libraries = "bin/napi-v6/linux/x64";
rmSync(target, { recursive: true, force: true });
cpSync(join(source, "dist"), join(target, "lib"), { recursive: true, filter: (path) => !path.endsWith(".map") });
for (const name of ["libonnxruntime.so.1", "onnxruntime_binding.node"])
  cpSync(join(source, libraries, name), join(target, libraries, name));
