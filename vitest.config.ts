// The test projects: `objects` and `workers` run inside workerd, `node` and `db` on Node, `e2e` on the real stack.
import { existsSync, globSync } from "node:fs";
import { join, relative } from "node:path";
import { cloudflareTest } from "@cloudflare/vitest-plugin";
import { defineConfig, type TestProjectInlineConfiguration } from "vitest/config";
import { BaseSequencer, type TestSpecification } from "vitest/node";
import { inGoodOrder, LANES, STACKS_AT_ONCE } from "./test/file-order.ts";

// Tests start many short processes from TypeScript (the `berth` command, hosts, agents): each is compiled once, not at every start.
process.env.NODE_COMPILE_CACHE ??= join(import.meta.dirname, "node_modules/.cache/node-compile");

const maxWorkers = LANES;

/** For what takes seconds on an idle machine and computes: on a busy one it takes many times as long. */
const patience = { testTimeout: 120_000, hookTimeout: 120_000, expect: { poll: { timeout: 60_000 } } };

const globalSetup = existsSync("test/global-setup.ts") ? ["test/global-setup.ts"] : [];

const keptBundles = ["test/kept-bundles.ts"];

/** Tests that run inside workerd, in the isolate of the Worker that `configPath` describes. */
function inWorkerd(
  name: string,
  configPath: string,
  include: string,
  {
    globalSetup = [],
    setupFiles = [],
  }: Pick<NonNullable<TestProjectInlineConfiguration["test"]>, "globalSetup" | "setupFiles"> = {},
): TestProjectInlineConfiguration {
  return {
    plugins: [cloudflareTest({ wrangler: { configPath } })],
    test: {
      name,
      include: [include],
      globalSetup,
      setupFiles,
      maxWorkers,
      ...patience,
      // itty-durable ships extensionless imports, which workerd cannot load unless they are bundled first.
      deps: { optimizer: { ssr: { enabled: true, include: ["itty-durable"] } } },
    },
  };
}

const objects = inWorkerd("objects", "./test/durable-objects/wrangler.toml", "test/durable-objects/**/*.test.ts");
const workers = inWorkerd("workers", "./wrangler.toml", "test/workers/**/*.test.ts", {
  globalSetup: ["test/workers/global-setup.ts"],
  setupFiles: ["test/workers/patience.ts"],
});

const node: TestProjectInlineConfiguration = {
  test: {
    name: "node",
    include: ["test/**/*.test.ts"],
    exclude: [
      "test/workers/**",
      "test/durable-objects/**",
      "test/db/**",
      "test/e2e/**",
      "test/install/**",
      "test/keys/**",
    ],
    globalSetup: keptBundles,
    maxWorkers,
    ...patience,
  },
};

const db: TestProjectInlineConfiguration = {
  test: {
    name: "db",
    include: ["test/db/**/*.test.ts"],
    globalSetup,
    maxWorkers,
    ...patience,
  },
};

const e2e: TestProjectInlineConfiguration = {
  test: {
    name: "e2e",
    include: ["test/e2e/**/*.test.ts"],
    globalSetup: keptBundles,
    maxWorkers: STACKS_AT_ONCE,
    ...patience,
    testTimeout: 180_000,
    hookTimeout: 180_000,
    sequence: { groupOrder: 1 },
  },
};

/** `npm run test:install`: it makes a bare Debian first, which takes minutes where it was not made before. */
const install: TestProjectInlineConfiguration = {
  test: {
    ...e2e.test,
    name: "install",
    fileParallelism: false,
    include: ["test/install/**/*.test.ts"],
    sequence: { groupOrder: 2 },
  },
};

/** `npm run test:keys`: rotations wait for every node, most of a minute long. */
const keys: TestProjectInlineConfiguration = {
  test: {
    ...e2e.test,
    name: "keys",
    include: ["test/keys/**/*.test.ts"],
    maxWorkers: STACKS_AT_ONCE,
    sequence: { groupOrder: 2 },
  },
};

class GoodOrder extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const sorted = (await super.sort(files)).toSorted((a, b) => projectOf(a).localeCompare(projectOf(b)));
    const described = sorted.map((file) => ({
      file,
      name: relative(join(import.meta.dirname, "test"), file.moduleId).replace(/\.test\.ts$/, ""),
    }));
    return inGoodOrder(described).map(({ file }) => file);
  }
}

const projectOf = ({ project }: TestSpecification): string => project.name;

/** A project is listed once it has a test file, so that workerd is not started for nothing. */
function hasTests({ test }: TestProjectInlineConfiguration): boolean {
  return globSync(test?.include ?? [], { exclude: test?.exclude ?? [] }).length > 0;
}

export default defineConfig({
  test: {
    projects: [objects, workers, node, db, e2e, install, keys].filter(hasTests),
    reporters: process.env.CI ? ["default", "json"] : ["default"],
    outputFile: { json: ".vitest/results.json" },
    passWithNoTests: false,
    sequence: { sequencer: GoodOrder },
    // Inside workerd, the callee's end of a refused RPC rejects too; the caller's end is what a test asserts.
    onUnhandledError: ({ message }) => !String(message).startsWith("The RPC receiver does not implement the method"),
  },
});
