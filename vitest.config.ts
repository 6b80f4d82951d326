// The test projects: `workers` runs inside workerd, `node` and `db` on Node, `e2e` on the real stack, one file at a time.
import { existsSync, globSync } from "node:fs";
import { cloudflareTest } from "@cloudflare/vitest-plugin";
import { defineConfig, type TestProjectInlineConfiguration } from "vitest/config";

const globalSetup = existsSync("test/global-setup.ts") ? ["test/global-setup.ts"] : [];

const workers: TestProjectInlineConfiguration = {
  plugins: [cloudflareTest({ wrangler: { configPath: "./wrangler.toml" } })],
  test: {
    name: "workers",
    include: ["test/workers/**/*.test.ts", "test/durable-objects/**/*.test.ts"],
    globalSetup,
    testTimeout: 30_000,
    // itty-durable ships extensionless imports, which workerd cannot load unless they are bundled first.
    deps: { optimizer: { ssr: { enabled: true, include: ["itty-durable"] } } },
  },
};

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
    projects: [workers, node, db, e2e].filter(hasTests),
    reporters: process.env.CI ? ["default", "json"] : ["default"],
    outputFile: { json: ".vitest/results.json" },
    passWithNoTests: false,
  },
});
