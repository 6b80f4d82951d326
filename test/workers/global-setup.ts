// A migrated Postgres for the tests in workerd. It runs in a Node process of its own: this file is loaded as if for workerd.
import { fork } from "node:child_process";
import { once } from "node:events";
import type { TestProject } from "vitest/node";
import type { MigratedPostgres } from "./postgres-process.ts";

declare module "vitest" {
  export interface ProvidedContext {
    migrated: MigratedPostgres;
  }
}

export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const child = fork("test/workers/postgres-process.ts", { stdio: ["ignore", "inherit", "inherit", "ipc"] });
  const ended = once(child, "exit");
  const ready = await Promise.race([
    once(child, "message"),
    ended.then(() => Promise.reject(new Error("Postgres did not start"))),
  ]);
  project.provide("migrated", ready[0] as MigratedPostgres);
  return async () => {
    child.disconnect();
    await ended;
  };
}
