// One parsed source file and what the rules ask of it. Parsing is oxc's: no rule reads code with a regular expression.
import { parseSync } from "oxc-parser";

export interface SourceText {
  /** Relative to the project's root, with forward slashes. */
  readonly path: string;
  readonly text: string;
}

export interface Import {
  readonly specifier: string;
  readonly typeOnly: boolean;
  readonly line: number;
}

export interface AstNode {
  readonly type: string;
  readonly start: number;
  readonly end: number;
  readonly [key: string]: unknown;
}

export interface SourceFile extends SourceText {
  readonly imports: readonly Import[];
  /** Paths named by `new URL("./x.ts", import.meta.url)`: files that are started, not imported. */
  readonly urls: readonly string[];
  readonly exportedNames: readonly { readonly name: string; readonly line: number }[];
  readonly comments: readonly { readonly text: string; readonly start: number; readonly line: number }[];
  readonly program: AstNode;
  lineAt(offset: number): number;
}

export interface Finding {
  readonly rule: string;
  readonly path: string;
  readonly line: number;
  readonly message: string;
}

/** Throws on a syntax error: what cannot be parsed cannot be checked. */
export function parseSource({ path, text }: SourceText): SourceFile {
  const result = parseSync(path, text);
  const error = result.errors[0];
  if (error) throw new Error(`${path}: ${error.message}`);
  const lineAt = lineFinder(text);
  const program = result.program as unknown as AstNode;
  return {
    path,
    text,
    program,
    lineAt,
    imports: [...moduleImports(result.module, lineAt), ...expressionImports(program, lineAt)],
    urls: moduleUrls(program),
    exportedNames: result.module.staticExports.flatMap((statement) =>
      statement.entries.flatMap(({ exportName, start }) =>
        exportName.name ? [{ name: exportName.name, line: lineAt(start) }] : [],
      ),
    ),
    comments: result.comments.map(({ value, start }) => ({ text: value, start, line: lineAt(start) })),
  };
}

/** Calls `visit` for every node below `node`, parents first, with the chain of its ancestors (nearest last). */
export function walk(
  node: AstNode,
  visit: (node: AstNode, ancestors: readonly AstNode[]) => void,
  ancestors: readonly AstNode[] = [],
): void {
  visit(node, ancestors);
  const below = [...ancestors, node];
  for (const value of Object.values(node)) {
    for (const child of Array.isArray(value) ? value : [value]) {
      if (isNode(child)) walk(child, visit, below);
    }
  }
}

export function isNode(value: unknown): value is AstNode {
  return typeof value === "object" && value !== null && typeof (value as { type?: unknown }).type === "string";
}

type ModuleRecord = ReturnType<typeof parseSync>["module"];

function moduleImports(module: ModuleRecord, lineAt: (offset: number) => number): Import[] {
  const imports = module.staticImports.map(({ moduleRequest, entries, start }) => ({
    specifier: moduleRequest.value,
    typeOnly: entries.length > 0 && entries.every(({ isType }) => isType),
    line: lineAt(start),
  }));
  const reexports = module.staticExports.flatMap(({ entries }) =>
    entries.flatMap(({ moduleRequest, isType, start }) =>
      moduleRequest ? [{ specifier: moduleRequest.value, typeOnly: isType, line: lineAt(start) }] : [],
    ),
  );
  return [...imports, ...reexports];
}

function expressionImports(program: AstNode, lineAt: (offset: number) => number): Import[] {
  const found: Import[] = [];
  walk(program, (node) => {
    if (node.type !== "ImportExpression" && node.type !== "TSImportType") return;
    const specifier = literalOf(node.source);
    if (specifier === undefined) return;
    found.push({ specifier, typeOnly: node.type === "TSImportType", line: lineAt(node.start) });
  });
  return found;
}

function moduleUrls(program: AstNode): string[] {
  const found: string[] = [];
  walk(program, (node) => {
    if (node.type !== "NewExpression" || !isNode(node.callee) || node.callee.name !== "URL") return;
    const path = Array.isArray(node.arguments) ? literalOf(node.arguments[0]) : undefined;
    if (path?.startsWith(".")) found.push(path);
  });
  return found;
}

function literalOf(value: unknown): string | undefined {
  return isNode(value) && typeof value.value === "string" ? value.value : undefined;
}

function lineFinder(text: string): (offset: number) => number {
  const starts = [0];
  for (let at = text.indexOf("\n"); at !== -1; at = text.indexOf("\n", at + 1)) starts.push(at + 1);
  return (offset) => {
    let low = 0;
    let high = starts.length;
    while (high - low > 1) {
      const middle = (low + high) >> 1;
      if ((starts[middle] as number) <= offset) low = middle;
      else high = middle;
    }
    return low + 1;
  };
}
