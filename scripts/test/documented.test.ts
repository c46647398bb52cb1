import { join, relative } from "node:path";
import ts from "typescript";
import { expect, test } from "vitest";
import { hasSources, root, workspaces } from "../lib/workspace";

/** Sources of all entries of the published packages. */
const ENTRIES = workspaces()
  .filter((workspace) => hasSources(workspace) && !workspace.manifest.private)
  .flatMap(({ path, manifest }) =>
    Object.values(manifest.exports ?? {}).flatMap((entry) => {
      const source = (entry as { readonly "@tensorar/source"?: string })["@tensorar/source"];
      return source === undefined ? [] : [join(path, source)];
    }),
  );

function undocumented(program: ts.Program, entry: string): string[] {
  const checker = program.getTypeChecker();
  const module = checker.getSymbolAtLocation(program.getSourceFile(entry)!);
  if (!module) return []; // exports nothing
  return checker.getExportsOfModule(module).flatMap((exported) => {
    const symbol = exported.flags & ts.SymbolFlags.Alias ? checker.getAliasedSymbol(exported) : exported;
    if (symbol.getDocumentationComment(checker).length > 0 || symbol.getJsDocTags(checker).length > 0) return [];
    return [`${symbol.name} of ${relative(root, symbol.declarations?.[0]?.getSourceFile().fileName ?? entry)}`];
  });
}

test("every export of every package is documented", () => {
  const { config } = ts.readConfigFile(join(root, "tsconfig.base.json"), ts.sys.readFile);
  const { options } = ts.convertCompilerOptionsFromJson(config.compilerOptions, root);
  const program = ts.createProgram(ENTRIES, options);
  expect(ENTRIES.length).toBeGreaterThan(10);
  expect([...new Set(ENTRIES.flatMap((entry) => undocumented(program, entry)))].sort()).toEqual([]);
});
