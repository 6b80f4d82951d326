// The test projects: `objects` and `workers` run inside workerd, `node` and `db` on Node, `e2e` on the real stack.
import { existsSync, globSync } from "node:fs";
import { cloudflareTest } from "@cloudflare/vitest-plugin";
import { defineConfig, type TestProjectInlineConfiguration } from "vitest/config";

const globalSetup = existsSync("test/global-setup.ts") ? ["test/global-setup.ts"] : [];

/** Tests that run inside workerd, in the isolate of the Worker that `configPath` describes. */
function inWorkerd(
  name: string,
  configPath: string,
  include: string,
  setup: string[] = [],
): TestProjectInlineConfiguration {
  return {
    plugins: [cloudflareTest({ wrangler: { configPath } })],
    test: {
      name,
      include: [include],
      globalSetup: setup,
      testTimeout: 30_000,
      // itty-durable ships extensionless imports, which workerd cannot load unless they are bundled first.
      deps: { optimizer: { ssr: { enabled: true, include: ["itty-durable"] } } },
    },
  };
}

const objects = inWorkerd("objects", "./test/durable-objects/wrangler.toml", "test/durable-objects/**/*.test.ts");
const workers = inWorkerd("workers", "./wrangler.toml", "test/workers/**/*.test.ts", ["test/workers/global-setup.ts"]);

const node: TestProjectInlineConfiguration = {
  test: {
    name: "node",
    include: ["test/**/*.test.ts"],
    exclude: ["test/workers/**", "test/durable-objects/**", "test/db/**", "test/e2e/**"],
    testTimeout: 30_000,
    hookTimeout: 60_000,
  },
};

const db: TestProjectInlineConfiguration = {
  test: { name: "db", include: ["test/db/**/*.test.ts"], globalSetup, testTimeout: 30_000, hookTimeout: 60_000 },
};

// The stack's own processes need both cores: it starts when the others are done, and runs one file at a time.
const e2e: TestProjectInlineConfiguration = {
  test: {
    name: "e2e",
    include: ["test/e2e/**/*.test.ts"],
    fileParallelism: false,
    testTimeout: 180_000,
    hookTimeout: 180_000,
    sequence: { groupOrder: 1 },
  },
};

/** A project is listed once it has a test file, so that workerd is not started for nothing. */
function hasTests({ test }: TestProjectInlineConfiguration): boolean {
  return globSync(test?.include ?? [], { exclude: test?.exclude ?? [] }).length > 0;
}

export default defineConfig({
  test: {
    projects: [objects, workers, node, db, e2e].filter(hasTests),
    reporters: process.env.CI ? ["default", "json"] : ["default"],
    outputFile: { json: ".vitest/results.json" },
    passWithNoTests: false,
    // Inside workerd, the callee's end of a refused RPC rejects too; the caller's end is what a test asserts.
    onUnhandledError: ({ message }) => !String(message).startsWith("The RPC receiver does not implement the method"),
  },
});
