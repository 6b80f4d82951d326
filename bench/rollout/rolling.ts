// Berth's side: a rolling update through the public API, under visitors who come through the edge.
import { setTimeout as sleep } from "node:timers/promises";
import { Accepted, App, Instance, page, Rollout } from "../../contracts/api.ts";
import { startVisitors, type Seen } from "../../dev/load/visitors.ts";
import { callApi } from "../../dev/stack/operator.ts";
import type { Stack } from "../../dev/stack.ts";
import { imageOf, PORT, RESOURCES } from "../deploy/image.ts";
import { readSeen } from "./load.ts";

const WITHIN_MS = 60_000;
const LOOK_MS = 100;
const SPEC = {
  port: PORT,
  resources: { ...RESOURCES, diskBytes: 64 * 1024 * 1024 },
  probes: { readiness: { kind: "http", path: "/" } },
};

export interface RollingUpdate {
  /** From the call to the later of: the rollout is completed, and visitors were answered by all new replicas. */
  readonly totalMs: number;
  readonly completedMs: number;
  readonly allSeenMs: number;
  readonly seen: readonly Seen[];
}

export class RolledApp {
  readonly #stack: Stack;
  readonly #name: string;
  readonly #replicas: number;

  private constructor(stack: Stack, name: string, replicas: number) {
    this.#stack = stack;
    this.#name = name;
    this.#replicas = replicas;
  }

  static async create(stack: Stack, tag: string, replicas: number): Promise<RolledApp> {
    const app = new RolledApp(stack, "rolled", replicas);
    await app.#call("POST", "/v1/apps", App, { name: "rolled", replicas });
    await app.#completedAtMs(await app.#release(tag));
    return app;
  }

  async update(tag: string, ratePerS: number): Promise<RollingUpdate> {
    const { edgePort: port, baseDomain } = this.#stack;
    const hostname = `${this.#name}.${baseDomain}`;
    const visitors = startVisitors({ port, hostname, ratePerS, read: readSeen });
    try {
      await sleep(1_000);
      const beganAtMs = Date.now();
      const rollout = await this.#release(tag);
      const completedMs = (await this.#completedAtMs(rollout)) - beganAtMs;
      const allSeenMs = (await this.#allSeenAtMs(visitors.seen, `v${rollout.toVersion}`)) - beganAtMs;
      // Until nothing of the old release is left: its end is part of the update for whoever is still sent there.
      await this.#settled();
      return { totalMs: Math.max(completedMs, allSeenMs), completedMs, allSeenMs, seen: await visitors.stop() };
    } finally {
      await visitors.stop();
    }
  }

  async #release(tag: string): Promise<Rollout> {
    const spec = { ...SPEC, source: { kind: "image", reference: imageOf(tag) } };
    const { rollout } = await this.#call("POST", `/v1/apps/${this.#name}/releases`, Accepted, { spec });
    if (rollout === null) throw new Error("the release was not rolled out");
    return rollout;
  }

  async #completedAtMs({ id }: Rollout): Promise<number> {
    const deadlineMs = performance.now() + WITHIN_MS;
    for (;;) {
      const now = await this.#call("GET", `/v1/apps/${this.#name}/rollouts/${id}`, Rollout);
      if (now.endedAtMs !== null && now.phase === "completed") return now.endedAtMs;
      if (now.endedAtMs !== null || performance.now() > deadlineMs) throw new Error(JSON.stringify(now));
      await sleep(LOOK_MS);
    }
  }

  /** When visitors had been answered by as many new replicas as there are. */
  async #allSeenAtMs(seen: readonly Seen[], version: string): Promise<number> {
    const deadlineMs = performance.now() + WITHIN_MS;
    for (;;) {
      const instances = new Set<string>();
      for (const one of seen) {
        if (one.version === version && one.instance !== null) instances.add(one.instance);
        if (instances.size === this.#replicas) return one.endedAtMs;
      }
      if (performance.now() > deadlineMs) throw new Error(`only ${instances.size} new replicas were seen`);
      await sleep(LOOK_MS);
    }
  }

  async #settled(): Promise<void> {
    const deadlineMs = performance.now() + WITHIN_MS;
    for (;;) {
      const { items } = await this.#call("GET", `/v1/apps/${this.#name}/instances?limit=100`, page(Instance));
      if (items.length === this.#replicas && items.every(({ phase }) => phase === "ready")) return;
      if (performance.now() > deadlineMs) throw new Error("the old release did not go");
      await sleep(LOOK_MS);
    }
  }

  #call<Schema extends Parameters<typeof callApi>[1]["schema"]>(
    method: "GET" | "POST",
    path: string,
    schema: Schema,
    body?: unknown,
  ) {
    const { controlUrl, operator } = this.#stack;
    const call = { schema, method, path, token: operator.token, ...(body === undefined ? {} : { body }) };
    return callApi<Schema>(controlUrl, call);
  }
}
