// A migrated Postgres, a DNS resolver and a certificates' issuer for the tests in workerd, in Node processes of their own: this file is
// loaded as if for workerd.
import { fork } from "node:child_process";
import { once } from "node:events";
import type { TestProject } from "vitest/node";
import type { Outside } from "./outside-process.ts";
import type { MigratedPostgres } from "./postgres-process.ts";

declare module "vitest" {
  export interface ProvidedContext {
    migrated: MigratedPostgres;
    outside: Outside;
    /** Inputs of an operation; the seed they come from; and of which operation alone (empty: of all). `npm run fuzz` has its own. */
    fuzz: { readonly runs: number; readonly seed: number; readonly only: string };
  }
}

export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const postgres = await started<MigratedPostgres>("test/workers/postgres-process.ts");
  const outside = await started<Outside>("test/workers/outside-process.ts");
  project.provide("migrated", postgres.ready);
  project.provide("outside", outside.ready);
  const { BERTH_FUZZ_RUNS = "100", BERTH_FUZZ_SEED = "5", BERTH_FUZZ_ONLY = "" } = process.env;
  project.provide("fuzz", { runs: Number(BERTH_FUZZ_RUNS), seed: Number(BERTH_FUZZ_SEED), only: BERTH_FUZZ_ONLY });
  return async () => {
    await Promise.all([postgres.end(), outside.end()]);
  };
}

async function started<Ready>(script: string): Promise<{ ready: Ready; end: () => Promise<void> }> {
  const child = fork(script, { stdio: ["ignore", "inherit", "inherit", "ipc"] });
  const ended = once(child, "exit");
  const message = await Promise.race([
    once(child, "message"),
    ended.then(() => Promise.reject(new Error(`${script} did not start`))),
  ]);
  return {
    ready: message[0] as Ready,
    async end() {
      child.disconnect();
      await ended;
    },
  };
}
