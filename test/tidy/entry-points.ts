// Where programs start. A source file that none of these reaches is dead.

/** What ships or what a person starts. Files outside test/ must be reached from here: a test keeps nothing alive. */
export const programEntryPoints = [
  "workers/control/index.ts",
  "workers/edge/index.ts",
  "node-agent/agent/main.ts",
  "node-agent/gateway/main.ts",
  "cli/main.ts",
  "cli/bin/berth.mjs",
  "dev/start.ts",
  "db/drizzle.config.ts",
  "vitest.config.ts",
];

/** bench/deploy.ts and its like: each file directly in bench/ is a program. */
export const programFolders = ["bench"];

export const testEntryPoints = [
  "test/sim/main.ts",
  "test/tidy/check.ts",
  "test/global-setup.ts",
  "test/durable-objects/worker.ts",
];

export function isProgramEntry(path: string): boolean {
  const folder = path.slice(0, path.lastIndexOf("/"));
  return programEntryPoints.includes(path) || programFolders.includes(folder);
}

export function isTestEntry(path: string): boolean {
  return path.endsWith(".test.ts") || path.endsWith("vitest.config.ts") || testEntryPoints.includes(path);
}
