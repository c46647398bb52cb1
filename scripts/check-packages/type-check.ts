import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import ts from "typescript";
import { root } from "../lib/workspace";
import type { Problems } from "./checks";
import { withoutTopLevelAwait } from "./example";

// Node 16's rules are the strictest: CommonJS must find CommonJS there.
const OPTIONS: ts.CompilerOptions = {
  strict: true,
  noUncheckedIndexedAccess: true,
  exactOptionalPropertyTypes: true,
  skipLibCheck: false,
  noEmit: true,
  target: ts.ScriptTarget.ES2022,
  module: ts.ModuleKind.Node16,
  moduleResolution: ts.ModuleResolutionKind.Node16,
  lib: ["lib.es2023.d.ts", "lib.dom.d.ts"],
  types: ["node"],
  typeRoots: [join(root, "node_modules/@types")],
};

/** Declarations that are wrong in themselves: tfjs 4.22 lacks a type and brings WebGPU's of old, which contradict TypeScript's. */
const WRONG = /\/node_modules\/(@tensorflow|@webgpu\/types|typescript\/lib)\//;

/**
 * Checks programs as TypeScript in a folder that has their packages, as ES modules and as CommonJS, strictly, with all
 * declarations that they reach.
 * @param programs by name
 */
export function typeCheck(folder: string, programs: Readonly<Record<string, string>>): Problems {
  const typed = join(folder, "typed");
  mkdirSync(typed);
  const files = Object.entries(programs).flatMap(([name, program]) => {
    const paths = [join(typed, `${name}.mts`), join(typed, `${name}.cts`)] as const;
    writeFileSync(paths[0], program);
    writeFileSync(paths[1], withoutTopLevelAwait(program));
    return paths;
  });
  const program = ts.createProgram(files, OPTIONS);
  const problems = program
    .getSourceFiles()
    .filter(({ fileName }) => !WRONG.test(fileName))
    .flatMap((file) => [...program.getSyntacticDiagnostics(file), ...program.getSemanticDiagnostics(file)]);
  const host = {
    getCurrentDirectory: () => folder,
    getCanonicalFileName: (name: string) => name,
    getNewLine: () => "\n",
  };
  return [...program.getOptionsDiagnostics(), ...problems].map((problem) => ts.formatDiagnostic(problem, host));
}
