import { writeFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { main } from "assemblyscript/asc";

/** Folders of the packages whose inner loops are written in AssemblyScript. */
export const WITH_KERNELS = ["packages/metrics", "packages/sampler"];

/** What is committed of a package's kernels. */
export const GENERATED = "src/generated/kernels.ts";

// No runtime, no data, no heap: all of the memory is the caller's.
const OPTIONS = [
  "-O3",
  "--noAssert",
  "--runtime",
  "stub",
  "--enable",
  "simd",
  "--importMemory",
  "--initialMemory",
  "1",
];

/** What a package's `src/generated/kernels.ts` must hold: the kernels of its `assembly`, compiled. */
export async function generatedKernels(folder: string): Promise<string> {
  const root = fileURLToPath(new URL(`../${folder}`, import.meta.url));
  let bytes: Uint8Array | null = null;
  const { error, stderr } = await main(
    ["assembly/kernels.ts", "--baseDir", root, "--outFile", "kernels.wasm", ...OPTIONS],
    {
      writeFile(name: string, contents: string | Uint8Array) {
        if (name === "kernels.wasm" && typeof contents !== "string") bytes = contents;
      },
    },
  );
  if (error || !bytes) throw new Error(`${folder}/assembly/kernels.ts does not compile: ${error?.message}\n${stderr}`);
  const text = Buffer.from(bytes).toString("base64");
  return [
    '// Generated from assembly/kernels.ts by "npm run kernels". Do not edit.',
    "",
    "/** The WebAssembly module of the kernels, base64. */",
    "export const KERNELS =",
    `  "${text}";`,
    "",
  ].join("\n");
}

if (process.argv[1] === fileURLToPath(import.meta.url))
  for (const folder of WITH_KERNELS)
    await writeFile(new URL(`../${folder}/${GENERATED}`, import.meta.url), await generatedKernels(folder));
