// Rule: every source file is reached from an entry point; what only tests reach is dead too. (Nothing imports a .d.ts.)
import { posix } from "node:path";
import { isProgramEntry, isTestEntry } from "../entry-points.ts";
import type { Finding, SourceFile } from "../source-file.ts";

export function deadFiles(files: readonly SourceFile[]): Finding[] {
  const byPath = new Map(files.map((file) => [file.path, file]));
  const programs = reach(byPath, isProgramEntry);
  const tests = reach(byPath, isTestEntry);
  return files
    .filter(({ path }) => !path.endsWith(".d.ts"))
    .filter(({ path }) => !programs.has(path) && !(path.startsWith("test/") && tests.has(path)))
    .map(({ path }) => ({
      rule: "dead-files",
      path,
      line: 1,
      message: tests.has(path) ? "only tests reach this file" : "no entry point reaches this file",
    }));
}

function reach(byPath: ReadonlyMap<string, SourceFile>, isEntry: (path: string) => boolean): ReadonlySet<string> {
  const reached = new Set<string>();
  const waiting = [...byPath.keys()].filter(isEntry);
  for (let path = waiting.pop(); path !== undefined; path = waiting.pop()) {
    if (reached.has(path)) continue;
    reached.add(path);
    const file = byPath.get(path);
    if (!file) continue;
    const targets = [...file.imports.map(({ specifier }) => specifier), ...file.urls];
    for (const target of targets) {
      if (target.startsWith(".")) waiting.push(posix.join(posix.dirname(path), target));
    }
  }
  return reached;
}
