// Berth's side: a release through the public API, watched through the edge as a visitor sees it.
import { randomBytes } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import type { z } from "zod";
import { Accepted, App, Instance, page } from "../../contracts/api.ts";
import { callApi } from "../../dev/stack/operator.ts";
import type { Stack } from "../../dev/stack.ts";
import { readPhases, type Phases } from "./events.ts";
import { watch, type Target } from "./first-answer.ts";
import { imageOf, PORT, RESOURCES } from "./image.ts";

const WITHIN_MS = 60_000;
/** One visitor, about 2 ms between an answer through the edge and the next question. */
const ONE_VISITOR = { clients: 1, pauseMs: () => 2 };
/**
 * Some visitors, for whom the balancer must pick every replica at least once. They ask seldom until the last replica is ready, and
 * then without a pause: asking costs processor time that the starts need, and Swarm's replicas are not asked before they started.
 */
const SOME_VISITORS = 5;
const SELDOM_MS = 500;

/** The same rule as the floor's: HTTP, at once, then from 10 ms growing by half. */
const PROBES = { readiness: { kind: "http", path: "/" } };

export interface Round {
  /** From the API call to the answer that was waited for. */
  readonly totalMs: number;
  readonly phases: Phases;
}

export class BenchApp {
  readonly #stack: Stack;
  readonly #name: string;
  readonly #replicas: number;

  private constructor(stack: Stack, name: string, replicas: number) {
    this.#stack = stack;
    this.#name = name;
    this.#replicas = replicas;
  }

  /** An app without a release yet. */
  static async create(stack: Stack, replicas: number): Promise<BenchApp> {
    const name = `bench-${randomBytes(4).toString("hex")}`;
    const app = new BenchApp(stack, name, replicas);
    await app.#call("POST", "/v1/apps", App, { name, replicas });
    return app;
  }

  /** Releases the image and resolves when all replicas of that release have answered through the edge. */
  async release(tag: string): Promise<Round> {
    const seen = new Set<string>();
    const wanted = { version: Infinity };
    let ready = 0;
    const isOne = this.#replicas === 1;
    const beganAtMs = Date.now();
    const phasesOf = (onReady: () => void) => readPhases(this.#stack, this.#name, { beganAtMs, onReady });
    const early = isOne ? null : phasesOf(() => (ready += 1));
    early?.catch(() => undefined);
    const beganMs = performance.now();
    const accepting = this.#post(tag).then(({ release }) => {
      wanted.version = release?.version ?? Infinity;
      return performance.now() - beganMs;
    });
    const visitors = isOne
      ? ONE_VISITOR
      : { clients: SOME_VISITORS, pauseMs: () => (ready < this.#replicas ? SELDOM_MS : 0) };
    const seeing = watch({
      ...visitors,
      target: this.target,
      withinMs: WITHIN_MS,
      enough: (answer) => {
        if (answer === null || answer.tag !== tag || answer.version !== wanted.version) return false;
        return seen.add(answer.instance).size >= this.#replicas;
      },
    });
    const [accepted, seenMs] = await Promise.all([accepting, seeing]);
    const totalMs = seenMs - beganMs;
    const events = await (early ?? phasesOf(() => undefined));
    return { totalMs, phases: { accepted, ...events, answered: totalMs } };
  }

  #post(tag: string): Promise<Accepted> {
    const { cpuMilli, memoryBytes, pids } = RESOURCES;
    const resources = { cpuMilli, memoryBytes, pids, diskBytes: 64 * 1024 * 1024 };
    const spec = { source: { kind: "image", reference: imageOf(tag) }, port: PORT, resources, probes: PROBES };
    return this.#call("POST", `/v1/apps/${this.#name}/releases`, Accepted, { spec });
  }

  /** Until nothing of an older release is left, so that one round does not disturb the next. */
  async settled(): Promise<void> {
    const deadlineMs = performance.now() + WITHIN_MS;
    for (;;) {
      const { items } = await this.#call("GET", `/v1/apps/${this.#name}/instances`, page(Instance));
      if (items.length === this.#replicas && items.every(({ phase }) => phase === "ready")) return;
      if (performance.now() > deadlineMs) throw new Error(`${this.#name} did not settle`);
      await sleep(100);
    }
  }

  async id(): Promise<string> {
    return (await this.#call("GET", `/v1/apps/${this.#name}`, App)).id;
  }

  async destroy(): Promise<void> {
    const { controlUrl, operator } = this.#stack;
    const headers = { authorization: `Bearer ${operator.token}` };
    const answer = await fetch(`${controlUrl}/v1/apps/${this.#name}`, { method: "DELETE", headers });
    if (!answer.ok) throw new Error(`DELETE ${this.#name} answered ${answer.status}: ${await answer.text()}`);
  }

  get target(): Target {
    const { edgePort, baseDomain } = this.#stack;
    return { host: "127.0.0.1", port: edgePort, hostname: `${this.#name}.${baseDomain}` };
  }

  #call<Schema extends z.ZodType>(
    method: "GET" | "POST",
    path: string,
    schema: Schema,
    body?: unknown,
  ): Promise<z.infer<Schema>> {
    const { controlUrl, operator } = this.#stack;
    return callApi(controlUrl, {
      schema,
      method,
      path,
      token: operator.token,
      ...(body === undefined ? {} : { body }),
    });
  }
}
