// Where programs start. A source file that none of these reaches is dead.

/** What ships or what a person starts. Files outside test/ must be reached from here: a test keeps nothing alive. */
export const programEntryPoints = [
  "workers/control/index.ts",
  "workers/edge/index.ts",
  "node-agent/agent/main.ts",
  "node-agent/launcher/main.ts",
  "node-agent/build/main.ts",
  "self-hosted/companion/main.ts",
  "self-hosted/workers/control.ts",
  "self-hosted/workers/stores.ts",
  "cli/main.ts",
  "cli/bin/berth.mjs",
  "dev/start.ts",
  "db/drizzle.config.ts",
  "vitest.config.ts",
];

/** Each file directly in bench/ is a program, and so is a main.ts in dev/ (a process of the stack) and an example's server. */
const programPaths = [/^bench\/[^/]+\.ts$/, /^dev\/.+\/main\.ts$/, /^examples\/[^/]+\/server\.m?[jt]s$/];

export const testEntryPoints = [
  "test/sim/main.ts",
  "test/tidy/check.ts",
  "test/global-setup.ts",
  "test/kept-bundles.ts",
  "test/workers/global-setup.ts",
  "test/workers/patience.ts",
  "test/workers/postgres-process.ts",
  "test/workers/outside-process.ts",
  "test/durable-objects/worker.ts",
  "test/e2e/apps/echo-server.mjs",
  "test/e2e/apps/traffic-server.mjs",
  "test/node-agent/agent/store-forever.ts",
];

export function isProgramEntry(path: string): boolean {
  return programEntryPoints.includes(path) || programPaths.some((pattern) => pattern.test(path));
}

export function isTestEntry(path: string): boolean {
  return path.endsWith(".test.ts") || path.endsWith("vitest.config.ts") || testEntryPoints.includes(path);
}
