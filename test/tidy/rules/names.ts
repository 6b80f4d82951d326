// Rule: files and folders in kebab-case, and no name that hides what a thing does.
import type { Finding, SourceFile } from "../source-file.ts";

const rule = "names";
const kebabFile = /^[a-z0-9]+(-[a-z0-9]+)*(\.(test|config|d))?\.(ts|tsx|mjs|js)$/;
const kebabFolder = /^[a-z0-9]+(-[a-z0-9]+)*$/;
const emptyExportedName = /(Manager|Helpers?|Utils?|Service)$/i;
const emptyFileName = /(^|-)(manager|helpers?|utils?|service)\.[\w.]+$/;

export function names(file: SourceFile): Finding[] {
  const parts = file.path.split("/");
  const base = parts.at(-1) as string;
  const messages: [number, string][] = [];
  if (!kebabFile.test(base)) messages.push([1, `${base} is not in kebab-case`]);
  for (const folder of parts.slice(0, -1)) {
    if (!kebabFolder.test(folder)) messages.push([1, `folder ${folder} is not in kebab-case`]);
  }
  if (emptyFileName.test(base)) messages.push([1, `${base} does not say what it owns`]);
  for (const { name, line } of file.exportedNames) {
    if (emptyExportedName.test(name)) messages.push([line, `${name} does not say what it does`]);
  }
  return messages.map(([line, message]) => ({ rule, path: file.path, line, message }));
}
