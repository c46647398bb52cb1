import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import ts from "typescript";

export interface Import {
  readonly file: string;
  readonly line: number;
  /** As written, e.g. `@tensorar/noise` or `./windows`. */
  readonly specifier: string;
  /** Loaded by a call, when it runs. */
  readonly later: boolean;
}

/** What the TypeScript files under `folder` import when they run: type-only imports leave no trace and are left out. */
export function runtimeImports(folder: string): Import[] {
  return readdirSync(folder, { recursive: true, encoding: "utf8" })
    .filter((name) => /\.[cm]?tsx?$/.test(name) && !name.endsWith(".d.ts"))
    .flatMap((name) => importsOf(join(folder, name)));
}

/**
 * What a module and the files that it reaches by relative paths import when they run; `static`: only what is imported as soon as
 * the module is, without `import()`.
 */
export function reachableImports(entry: string, { static: atOnce = false } = {}): Import[] {
  const found = new Map<string, Import[]>();
  const visit = (file: string): void => {
    if (found.has(file)) return;
    const imports = importsOf(file).filter((each) => !(atOnce && each.later));
    found.set(file, imports);
    for (const { specifier } of imports) {
      if (specifier.startsWith(".")) visit(`${join(file, "..", specifier)}.ts`);
    }
  };
  visit(entry);
  return [...found.values()].flat();
}

/** Static imports, re-exports, `import()` and `require()` with a literal name. */
function importsOf(file: string): Import[] {
  const source = ts.createSourceFile(file, readFileSync(file, "utf8"), ts.ScriptTarget.Latest, true);
  const found: Import[] = [];
  const visit = (node: ts.Node): void => {
    const specifier = loadedBy(node);
    if (specifier && ts.isStringLiteralLike(specifier)) {
      const { line } = source.getLineAndCharacterOfPosition(specifier.getStart(source));
      found.push({ file, line: line + 1, specifier: specifier.text, later: ts.isCallExpression(node) });
    }
    ts.forEachChild(node, visit);
  };
  visit(source);
  return found;
}

/** The expression that names the module which `node` loads, if it loads one. */
function loadedBy(node: ts.Node): ts.Expression | undefined {
  if (ts.isImportDeclaration(node)) return isTypeImport(node) ? undefined : node.moduleSpecifier;
  if (ts.isExportDeclaration(node)) return node.isTypeOnly ? undefined : node.moduleSpecifier;
  if (!ts.isCallExpression(node)) return undefined;
  const isImport = node.expression.kind === ts.SyntaxKind.ImportKeyword;
  const isRequire = ts.isIdentifier(node.expression) && node.expression.text === "require";
  return isImport || isRequire ? node.arguments[0] : undefined;
}

/** `import type …`, or braces in which every name is marked `type`. */
function isTypeImport({ importClause }: ts.ImportDeclaration): boolean {
  if (!importClause) return false;
  if (importClause.phaseModifier === ts.SyntaxKind.TypeKeyword) return true;
  const bindings = importClause.namedBindings;
  if (importClause.name || !bindings || !ts.isNamedImports(bindings)) return false;
  return bindings.elements.length > 0 && bindings.elements.every((element) => element.isTypeOnly);
}

/** The npm package of a specifier: `@tensorar/checkpoint/node` → `@tensorar/checkpoint`; null for files and Node's own modules. */
export function packageOf(specifier: string): string | null {
  if (specifier.startsWith(".") || specifier.startsWith("node:")) return null;
  return specifier
    .split("/")
    .slice(0, specifier.startsWith("@") ? 2 : 1)
    .join("/");
}
