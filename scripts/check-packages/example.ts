import ts from "typescript";
import { packageOf } from "../lib/imports";
import type { Manifest } from "../lib/workspace";

/** The npm packages that a program imports. */
export function importedPackages(program: string): string[] {
  const names = ts.preProcessFile(program, true, true).importedFiles.map(({ fileName }) => packageOf(fileName));
  return [...new Set(names.filter((name) => name !== null))];
}

/**
 * The version of `name` to install beside the package for its README's example: the one its own tests run on, or what its
 * peer range allows. Null if it is neither a peer nor a development dependency: then the example needs what users may lack.
 */
export function exampleVersion(name: string, { devDependencies, peerDependencies }: Manifest): string | null {
  return devDependencies?.[name] ?? peerDependencies?.[name] ?? null;
}

/**
 * The same program for CommonJS, in TypeScript: what is not an import goes into an async function, since top-level `await` is
 * for ES modules.
 */
export function withoutTopLevelAwait(program: string): string {
  const source = ts.createSourceFile("example.ts", program, ts.ScriptTarget.Latest, true);
  const [imports, rest] = [true, false].map((wanted) =>
    source.statements
      .filter((statement) => ts.isImportDeclaration(statement) === wanted)
      .map((statement) => statement.getText()),
  );
  return `${imports?.join("\n")}\nconst main = async () => {\n${rest?.join("\n")}\n};\nvoid main();\n`;
}

/** The same program in CommonJS: each `import` becomes a `require()`. */
export function toCommonJs(program: string): string {
  const compilerOptions = { module: ts.ModuleKind.CommonJS, target: ts.ScriptTarget.ES2022, esModuleInterop: true };
  return ts.transpileModule(withoutTopLevelAwait(program), { compilerOptions }).outputText;
}
