// The certificates of an ingress, ordered ahead of need by DNS-01 under delegated names; one order at a time, under one account.
import { mkdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import type { Logger } from "pino";
import { z } from "zod";
import { AGENT_PROTOCOL } from "../../../contracts/agent-protocol.ts";
import { ChallengeResponse } from "../../../contracts/node-names.ts";
import type { AgentLimits } from "../../../core/converge/limits.ts";
import { namesToCertify } from "../../../core/names/ingress-names.ts";
import { renewAtMs } from "../../../core/names/life.ts";
import { INGRESS_CERTIFICATES } from "../../ingress/run.ts";
import { REGION_FILE } from "../../snapshot-file.ts";
import { makeAccountKey, order, type Account } from "../certificate/acme.ts";
import { NameStore } from "../certificate/name-store.ts";
import { readPair, type Pair } from "../certificate/pair.ts";
import type { Control } from "../link/control.ts";
import type { ControlClock } from "../link/control-clock.ts";
import { backoffMs, pause } from "../link/pause.ts";
import { readJsonFile, writeDurably } from "../state/durable-file.ts";

const ORDERS_FILE = "ingress-orders.json";
const Stored = z.object({
  account: z.object({ directoryUrl: z.string(), key: z.string(), url: z.string().nullable() }).nullable(),
  /** By name, where the last order came to nothing. */
  failed: z.record(z.string(), z.object({ failures: z.int(), retryAtMs: z.number(), why: z.string() })),
});
type Stored = z.infer<typeof Stored>;
const Region = z.object({
  baseDomain: z.string().optional(),
  routes: z.array(z.object({ hostnames: z.array(z.string()) })),
});

export interface IngressOrderPorts {
  readonly dir: string;
  readonly limits: AgentLimits;
  readonly log: Logger;
  readonly clock: ControlClock;
  readonly control: Control;
  readonly email: string | null;
}

export class IngressOrders {
  readonly #ports: IngressOrderPorts;
  readonly #stop = new AbortController();
  #loop: Promise<void> = Promise.resolve();
  #stored: Stored = { account: null, failed: {} };

  constructor(ports: IngressOrderPorts) {
    this.#ports = ports;
  }

  start(): void {
    this.#loop = this.#run();
  }

  async stop(): Promise<void> {
    this.#stop.abort();
    await this.#loop;
  }

  async #run(): Promise<void> {
    const { dir, limits, log } = this.#ports;
    const { signal } = this.#stop;
    await mkdir(join(dir, INGRESS_CERTIFICATES), { recursive: true, mode: 0o700 });
    // One that cannot be read costs an account.
    this.#stored = (await readJsonFile(join(dir, ORDERS_FILE), Stored).catch(() => null)) ?? this.#stored;
    while (!signal.aborted) {
      await this.#look(signal).catch((error: unknown) => {
        if (!signal.aborted) log.warn({ error: String(error) }, "the ingress's certificates cannot be looked after");
      });
      await pause(limits.certificateLookMs, signal);
    }
  }

  async #look(signal: AbortSignal): Promise<void> {
    const { dir, clock } = this.#ports;
    const { directoryUrl } = (await NameStore.open(dir)).state;
    const region = await readJsonFile(join(dir, REGION_FILE), Region);
    if (directoryUrl === null || region === null) return;
    const hostnames = region.routes.flatMap((route) => route.hostnames);
    for (const name of namesToCertify(region.baseDomain, hostnames)) {
      if (signal.aborted) return;
      if (clock.nowMs() < (this.#stored.failed[name]?.retryAtMs ?? 0) || !(await this.#isDue(name))) continue;
      await this.#order(name, directoryUrl, signal);
    }
  }

  async #isDue(name: string): Promise<boolean> {
    const { clock, limits } = this.#ports;
    const pair = await this.#read(name);
    return pair === null || clock.nowMs() >= renewAtMs(pair.life, pair.spread, limits);
  }

  async #order(name: string, directoryUrl: string, signal: AbortSignal): Promise<void> {
    const { limits, log, clock, email } = this.#ports;
    const { [name]: before, ...failed } = this.#stored.failed;
    try {
      const account = await this.#account(directoryUrl);
      const wish = {
        name,
        account,
        email,
        signal,
        log,
        settleMs: limits.acmeSettleMs,
        timeoutMs: limits.acmeTimeoutMs,
      };
      const challenge = (value: string | null) => this.#challenge(name, value);
      const { cert, key } = await order({ ...wish, challenge, keep: (known) => this.#put({ account: known }) });
      const { pem } = readPair(cert, key, { cert: "the ACME server's answer", key: "the key that was made for it" });
      await writeDurably(this.#pathOf(name), pem);
      if (before !== undefined) await this.#put({ failed });
    } catch (error) {
      signal.throwIfAborted();
      const failures = (before?.failures ?? 0) + 1;
      const retryAfterMs = (error as { retryAfterMs?: number | null }).retryAfterMs ?? null;
      const waitMs = backoffMs(failures, limits.ingressOrderMinMs, limits.ingressOrderMaxMs, retryAfterMs);
      const why = error instanceof Error ? error.message : String(error);
      await this.#put({ failed: { ...failed, [name]: { failures, retryAtMs: clock.nowMs() + waitMs, why } } });
      log.warn({ name, why, failures, waitMs: Math.round(waitMs) }, "the ingress has no certificate for a hostname");
    }
  }

  async #challenge(hostname: string, value: string | null): Promise<void> {
    const body = { protocol: AGENT_PROTOCOL, value, hostname };
    const call = { lane: "ask", method: "POST", path: "/agent/v1/acme-challenge", body } as const;
    await this.#ports.control.call({ ...call, timeoutMs: 30_000 }, ChallengeResponse);
  }

  async #account(directoryUrl: string): Promise<Account> {
    const known = this.#stored.account;
    if (known?.directoryUrl === directoryUrl) return known;
    const account = { directoryUrl, key: await makeAccountKey(), url: null };
    await this.#put({ account });
    return account;
  }

  async #read(name: string): Promise<Pair | null> {
    const path = this.#pathOf(name);
    const pem = await readFile(path, "utf8").catch(() => null);
    try {
      return pem === null ? null : readPair(pem, pem, { cert: path, key: path });
    } catch {
      return null;
    }
  }

  /** A wildcard's file begins with an underscore, which no hostname has. */
  #pathOf(name: string): string {
    return join(this.#ports.dir, INGRESS_CERTIFICATES, `${name.replace("*", "_")}.pem`);
  }

  async #put(change: Partial<Stored>): Promise<void> {
    this.#stored = { ...this.#stored, ...change };
    await writeDurably(join(this.#ports.dir, ORDERS_FILE), JSON.stringify(this.#stored));
  }
}
