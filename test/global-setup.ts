// One Postgres with a Neon adapter in front of it for all test files of a project. Read it with `inject("postgres")`.
import type { TestProject } from "vitest/node";
import { startNeonAdapter } from "../self-hosted/database/server.ts";
import { PATIENT_MS } from "./db/patience.ts";
import { scratchPostgres } from "./dev/scratch-postgres.ts";

declare module "vitest" {
  export interface ProvidedContext {
    /** adminUrl: a superuser's, on the empty database `postgres`. adapter: host:port for NEON_ADAPTER. */
    postgres: { readonly adminUrl: string; readonly adapter: string };
  }
}

export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const postgres = await scratchPostgres();
  const adapter = await startNeonAdapter({
    port: 0,
    postgres: { host: "127.0.0.1", port: postgres.port, connectTimeoutMs: PATIENT_MS },
  });
  project.provide("postgres", { adminUrl: postgres.url, adapter: `127.0.0.1:${adapter.port}` });
  return async () => {
    await adapter.close();
    await postgres.remove();
  };
}
