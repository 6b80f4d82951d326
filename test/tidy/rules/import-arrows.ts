// Rule: imports point one way, each folder imports only the packages it is meant to, and only declared ones.
import { posix } from "node:path";
import {
  type Allowed,
  allowedImports,
  barredFromEdge,
  edgeFolder,
  objectClassesEntry,
  unrestrictedFolders,
} from "../allowed-imports.ts";
import type { Finding, Import, SourceFile } from "../source-file.ts";

const rule = "import-arrows";

/** `declared` are the packages named in package.json. */
export function importArrows(files: readonly SourceFile[], declared: ReadonlySet<string>): Finding[] {
  return files.flatMap((file) =>
    file.imports.flatMap((one) => {
      const message = refusal(file, one, declared);
      return message ? [{ rule, path: file.path, line: one.line, message }] : [];
    }),
  );
}

function refusal(file: SourceFile, one: Import, declared: ReadonlySet<string>): string | undefined {
  const target = targetOf(file.path, one.specifier);
  if (target.kind === "package" && !declared.has(target.name)) return `${target.name} is not in package.json`;
  if (target.kind === "file" && target.path.startsWith("..")) return `${one.specifier} is outside of the project`;
  if (target.kind === "file" && !/\.\w+$/.test(target.path)) return `${one.specifier} has no extension`;
  const folder = folderOf(file.path);
  if (folder === undefined || unrestrictedFolders.includes(folder)) return undefined;
  const allowed = allowedImports[folder];
  if (!allowed) return `folder ${folder}/ is not in the table of import arrows`;
  return (
    arrowRefusal(folder, allowed, target) ?? edgeRefusal(file.path, one, target) ?? classRefusal(file, one, target)
  );
}

type Target =
  | { readonly kind: "file"; readonly path: string }
  | { readonly kind: "builtin" }
  | { readonly kind: "cloudflare" }
  | { readonly kind: "package"; readonly name: string };

function targetOf(from: string, specifier: string): Target {
  if (specifier.startsWith(".")) return { kind: "file", path: posix.join(posix.dirname(from), specifier) };
  if (specifier.startsWith("node:")) return { kind: "builtin" };
  if (specifier.startsWith("cloudflare:")) return { kind: "cloudflare" };
  const parts = specifier.split("/");
  return { kind: "package", name: parts.slice(0, specifier.startsWith("@") ? 2 : 1).join("/") };
}

function arrowRefusal(folder: string, allowed: Allowed, target: Target): string | undefined {
  switch (target.kind) {
    case "file": {
      const to = folderOf(target.path) ?? target.path;
      return to === folder || allowed.folders.includes(to) ? undefined : `${folder}/ may not import ${to}`;
    }
    case "builtin":
      return allowed.nodeBuiltins ? undefined : `${folder}/ may not import Node's modules`;
    case "cloudflare":
      return allowed.cloudflare ? undefined : `${folder}/ may not import workerd's modules`;
    case "package":
      return allowed.packages.includes(target.name) ? undefined : `${folder}/ may not import ${target.name}`;
  }
}

function edgeRefusal(path: string, { typeOnly }: Import, target: Target): string | undefined {
  if (!path.startsWith(edgeFolder) || typeOnly) return undefined;
  const name = target.kind === "file" ? target.path : target.kind === "package" ? target.name : "";
  return barredFromEdge.some((barred) => name.startsWith(barred)) ? `the edge Worker may not load ${name}` : undefined;
}

function classRefusal({ path }: SourceFile, { typeOnly }: Import, target: Target): string | undefined {
  if (typeOnly || target.kind !== "file" || path === objectClassesEntry) return undefined;
  if (!path.startsWith("workers/") || !target.path.startsWith("durable-objects/")) return undefined;
  return `only ${objectClassesEntry} may load ${target.path}: import its types`;
}

function folderOf(path: string): string | undefined {
  return path.includes("/") ? path.slice(0, path.indexOf("/")) : undefined;
}
