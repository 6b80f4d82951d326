// Rule: every direct dependency is pinned to one version, because no lock file is committed.
import type { Finding } from "../source-file.ts";

const exactVersion = /^\d+\.\d+\.\d+(-[0-9A-Za-z.-]+)?$/;

export function pins(dependencies: Readonly<Record<string, string>>): Finding[] {
  return Object.entries(dependencies)
    .filter(([, version]) => !exactVersion.test(version))
    .map(([name, version]) => ({
      rule: "pins",
      path: "package.json",
      line: 1,
      message: `${name} is not pinned to one version: ${version}`,
    }));
}
