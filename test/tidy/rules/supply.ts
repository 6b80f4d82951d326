// Rule: what is installed is what was pinned, and runs code at install only where package.json says of the package whether it may.
import type { Finding } from "../source-file.ts";

/** As npm keeps it of what it installed, in node_modules/.package-lock.json. */
export interface InstalledPackage {
  readonly version?: string;
  readonly hasInstallScript?: boolean;
  readonly link?: boolean;
}

/** allowed: by name, whether its install script may run; both are decisions, and what has no line is none. */
export function supply(
  installed: Readonly<Record<string, InstalledPackage>>,
  allowed: Readonly<Record<string, boolean>>,
  direct: Readonly<Record<string, string>>,
): Finding[] {
  const findings: Finding[] = [];
  const tell = (message: string): void =>
    void findings.push({ rule: "supply", path: "package.json", line: 1, message });
  for (const [path, { version = "none", hasInstallScript = false, link = false }] of Object.entries(installed)) {
    const name = path.slice(path.lastIndexOf("node_modules/") + "node_modules/".length);
    if (link) tell(`${name} is a link to a folder, not a package`);
    if (hasInstallScript && allowed[name] === undefined) tell(`${name} runs a script at install, and allowScripts does not say whether it may`); // prettier-ignore
    const wanted = path === `node_modules/${name}` ? direct[name] : undefined;
    if (wanted !== undefined && version !== wanted) tell(`${name} ${version} is installed, and ${wanted} is pinned`);
  }
  return findings;
}
