// Reads the project's source files and the packages it declares, for the rules to judge.
import type { InstalledPackage } from "./rules/supply.ts";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { SourceText } from "./source-file.ts";

const root = join(import.meta.dirname, "../..");
const skippedFolders = new Set(["node_modules", "dist", "coverage", "migrations"]);

export function readSources(): SourceText[] {
  return listSources("").map((path) => ({ path, text: readFileSync(join(root, path), "utf8") }));
}

export function declaredPackages(): ReadonlySet<string> {
  const manifest = readManifest();
  return new Set([...Object.keys(manifest.dependencies), ...Object.keys(manifest.devDependencies)]);
}

interface Manifest {
  readonly dependencies: Readonly<Record<string, string>>;
  readonly devDependencies: Readonly<Record<string, string>>;
  /** By package: whether its install script may run. */
  readonly allowScripts: Readonly<Record<string, boolean>>;
}

/** What npm says that it installed, by the folder below node_modules. */
export function readInstalled(): Readonly<Record<string, InstalledPackage>> {
  const lock = JSON.parse(readFileSync(join(root, "node_modules/.package-lock.json"), "utf8")) as {
    readonly packages: Readonly<Record<string, InstalledPackage>>;
  };
  return lock.packages;
}

export function readManifest(): Manifest {
  return JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as Manifest;
}

function listSources(folder: string): string[] {
  return readdirSync(join(root, folder), { withFileTypes: true }).flatMap((entry) => {
    const path = folder ? `${folder}/${entry.name}` : entry.name;
    if (entry.name.startsWith(".") || skippedFolders.has(entry.name)) return [];
    if (entry.isDirectory()) return listSources(path);
    return /\.(ts|tsx|mjs|js)$/.test(entry.name) ? [path] : [];
  });
}
