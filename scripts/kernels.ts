import { writeFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { main } from "assemblyscript/asc";

const root = fileURLToPath(new URL("..", import.meta.url));
const TARGET = "src/generated/kernels.ts";
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

/** What `src/generated/kernels.ts` must hold: the kernels of `assembly`, compiled. */
export async function generatedKernels(): Promise<string> {
  let bytes: Uint8Array | null = null;
  const { error, stderr } = await main(
    ["assembly/kernels.ts", "--baseDir", root, "--outFile", "kernels.wasm", ...OPTIONS],
    {
      writeFile(name: string, contents: string | Uint8Array) {
        if (name === "kernels.wasm" && typeof contents !== "string") bytes = contents;
      },
    },
  );
  if (error || !bytes) throw new Error(`assembly/kernels.ts does not compile: ${error?.message}\n${stderr}`);
  const text = Buffer.from(bytes).toString("base64");
  return [
    '// Generated from assembly/kernels.ts by "npm run kernels" in packages/metrics. Do not edit.',
    "",
    "/** The WebAssembly module of the kernels, base64. */",
    "export const KERNELS =",
    `  "${text}";`,
    "",
  ].join("\n");
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await writeFile(`${root}/${TARGET}`, await generatedKernels());
