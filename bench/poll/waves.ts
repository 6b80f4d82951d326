// What wakes the nodes: apps that are deployed and restarted through the public API, as customers do it.
import { setTimeout as sleep } from "node:timers/promises";
import type { z } from "zod";
import { Accepted, App, Rollout } from "../../contracts/api.ts";
import { callApi } from "../../dev/stack/operator.ts";

const WITHIN_MS = 60_000;
const FINAL_PHASES = new Set(["completed", "failed", "cancelled", "superseded"]);

export interface Api {
  readonly controlUrl: string;
  readonly token: string;
}

/** Deploys an app and waits until its rollout is completed. */
export async function deployApp(api: Api, name: string, replicas: number): Promise<void> {
  await call(api, "POST", "/v1/apps", App, { name, replicas });
  const spec = { source: { kind: "image", reference: "bench.invalid/ready:1" }, resources: { cpuMilli: 100 } };
  await completed(api, name, await call(api, "POST", `/v1/apps/${name}/releases`, Accepted, { spec }));
}

/** A new instance in place of each: their nodes are woken when it is placed, routed, and when the old one goes. */
export async function restartApp(api: Api, name: string): Promise<void> {
  await completed(api, name, await call(api, "POST", `/v1/apps/${name}/restart`, Accepted, {}));
}

async function completed(api: Api, name: string, { rollout }: z.infer<typeof Accepted>): Promise<void> {
  if (rollout === null) throw new Error(`nothing was rolled out for ${name}`);
  const deadlineMs = performance.now() + WITHIN_MS;
  for (;;) {
    const { phase, failure } = await call(api, "GET", `/v1/apps/${name}/rollouts/${rollout.id}`, Rollout);
    if (phase === "completed") return;
    if (FINAL_PHASES.has(phase)) throw new Error(`${name}: ${phase} ${JSON.stringify(failure)}`);
    if (performance.now() > deadlineMs) throw new Error(`${name}: still ${phase} after ${WITHIN_MS / 1_000} s`);
    await sleep(100);
  }
}

function call<Schema extends z.ZodType>(
  { controlUrl, token }: Api,
  method: "GET" | "POST",
  path: string,
  schema: Schema,
  body?: unknown,
): Promise<z.infer<Schema>> {
  return callApi(controlUrl, { schema, method, path, token, ...(body === undefined ? {} : { body }) });
}
