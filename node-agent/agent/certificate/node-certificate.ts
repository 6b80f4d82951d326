// The certificate that the gateway serves under: given by files or ordered, renewed early, and what is wrong with it in words.
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import type { Logger } from "pino";
import type { AgentLimits } from "../../../core/converge/limits.ts";
import { renewAtMs, standingOf } from "../../../core/names/life.ts";
import { TLS_FILE } from "../../endpoint-file.ts";
import type { GatewaySocket } from "../gateway-child/gateway-socket.ts";
import type { ControlClock } from "../link/control-clock.ts";
import { pause } from "../link/pause.ts";
import type { Conditions } from "../report/conditions.ts";
import type { Notices } from "../report/notices.ts";
import { writeDurably } from "../state/durable-file.ts";
import type { GivenFiles } from "./given-files.ts";
import type { NameStore } from "./name-store.ts";
import type { Naming } from "./naming.ts";
import type { Orders } from "./orders.ts";
import { covers, datesOf, day, readPair, type Pair } from "./pair.ts";

export interface CertificatePorts {
  readonly dir: string;
  readonly limits: AgentLimits;
  readonly log: Logger;
  readonly clock: ControlClock;
  readonly gateway: GatewaySocket;
  readonly conditions: Conditions;
  readonly notices: Notices;
  readonly store: NameStore;
  /** Null: the operator sees to names, or to certificates. */
  readonly naming: Naming | null;
  readonly given: GivenFiles | null;
  readonly orders: Orders;
  /** Whether the edge may come is another question now. */
  readonly changed: () => void;
}

export class NodeCertificate {
  readonly #ports: CertificatePorts;
  readonly #stop = new AbortController();
  #loop: Promise<void> = Promise.resolve();
  #pair: Pair | null = null;
  /** The gateway has said that it shows this pair. */
  #shown: string | null = null;
  #ready = false;
  /** What is the matter with the given files just now. */
  #fault: string | null = null;

  constructor(ports: CertificatePorts) {
    this.#ports = ports;
  }

  /** False while the node is to be reached under a name that its gateway cannot serve under. */
  get ready(): boolean {
    return this.#ready;
  }

  /** What is on disk counts before anybody is asked; given files take its place at once, so that no gateway starts without them. */
  async open(): Promise<void> {
    const path = join(this.#ports.dir, TLS_FILE);
    const pem = await readFile(path, "utf8").catch(() => null);
    // One that cannot be read is replaced like one that is not there.
    if (pem !== null) this.#pair = pairOf(pem, path);
    await this.#takeGiven();
    this.#judge();
  }

  start(): void {
    if (this.#ports.naming !== null || this.#ports.given !== null) this.#loop = this.#run();
  }

  async stop(): Promise<void> {
    this.#stop.abort();
    await this.#loop;
  }

  async #run(): Promise<void> {
    const { log, limits } = this.#ports;
    while (!this.#stop.signal.aborted) {
      await this.#look().catch((error: unknown) => {
        if (!this.#stop.signal.aborted) log.error({ error: String(error) }, "the certificate cannot be looked after");
      });
      await pause(limits.certificateLookMs, this.#stop.signal);
    }
  }

  async #look(): Promise<void> {
    const { naming, given, orders, store } = this.#ports;
    const { signal } = this.#stop;
    if (given !== null) await this.#takeGiven();
    await this.#show();
    await naming?.look(this.#serves(), signal);
    const { name, directoryUrl } = store.state;
    if (naming !== null && given === null && name && directoryUrl !== null && this.#isDue(name)) {
      this.#judge();
      const fresh = await orders.order(name, directoryUrl, naming, signal);
      if (fresh !== null) {
        await this.#install(fresh);
        await naming.look(this.#serves(), signal);
      }
    }
    this.#judge();
  }

  #isDue(name: string): boolean {
    const { clock, limits } = this.#ports;
    if (this.#pair === null || !covers(this.#pair, name)) return true;
    return clock.nowMs() >= renewAtMs(this.#pair.life, this.#pair.spread, limits);
  }

  async #takeGiven(): Promise<void> {
    const { given, log } = this.#ports;
    if (given === null) return;
    try {
      const pair = await given.changed();
      if (pair === null) return;
      this.#fault = null;
      if (pair.fingerprint !== this.#pair?.fingerprint) await this.#install(pair);
    } catch (error) {
      this.#fault = error instanceof Error ? error.message : String(error);
      log.error({ error: this.#fault }, "the given certificate is not taken up; the one before it is served on");
    }
  }

  async #install(pair: Pair): Promise<void> {
    const { dir, log, notices } = this.#ports;
    await writeDurably(join(dir, TLS_FILE), pair.pem);
    this.#pair = pair;
    const told = `a certificate for ${pair.names} by ${pair.issuer} is served, ${datesOf(pair)}`;
    log.info({ fingerprint: pair.fingerprint }, told);
    void notices.add("certificate_installed", null, told, `certificate/${pair.fingerprint}`);
    await this.#show();
  }

  /** A gateway that does not answer takes the file up by itself, and says so later. */
  async #show(): Promise<void> {
    if (this.#pair === null || this.#shown === this.#pair.fingerprint) return;
    const answer = await this.#ports.gateway.reload();
    if (answer?.certificate === this.#pair.fingerprint) this.#shown = this.#pair.fingerprint;
  }

  #serves(): boolean {
    const { name } = this.#ports.store.state;
    const pair = this.#pair;
    if (pair === null || this.#shown !== pair.fingerprint || !name || !covers(pair, name)) return false;
    return this.#ports.clock.nowMs() < pair.life.notAfterMs;
  }

  #judge(): void {
    const { conditions, naming, given, store } = this.#ports;
    if (naming === null && given === null) {
      this.#ready = true;
      return;
    }
    const missing = this.#missing();
    conditions.set("certificate_missing", missing);
    conditions.set("certificate_expiring", this.#expiring());
    // Where it is served already a restart of the agent, or a provider that is away, changes nothing.
    const { name, served } = store.state;
    const ready = missing === null && (naming === null || name === null || served);
    if (ready === this.#ready) return;
    this.#ready = ready;
    this.#ports.changed();
  }

  /** Null: the edge can come, as far as certificates go. */
  #missing(): string | null {
    const { naming, given, store, clock, orders } = this.#ports;
    const pair = this.#pair;
    const { name } = store.state;
    if (naming !== null && name === undefined)
      return naming.trouble ?? "the control plane was not asked for a name yet";
    if (pair !== null && clock.nowMs() >= pair.life.notAfterMs)
      return this.#withReason(`the certificate has expired: ${datesOf(pair)}`);
    if (naming === null || name === null || name === undefined)
      return pair === null && given !== null ? this.#fault : null;
    if (pair !== null && covers(pair, name)) return null;
    if (given !== null)
      return this.#fault ?? `the given certificate is not for ${name}: it is for ${pair?.names ?? "nothing"}`;
    if (store.state.directoryUrl === null)
      return `${name} needs a certificate: the control plane names no ACME server, so give --tls-cert and --tls-key`;
    return `${name} has no certificate yet: ${orders.trouble() ?? "it is being ordered"}`;
  }

  #expiring(): string | null {
    const { clock, limits } = this.#ports;
    if (this.#pair === null) return null;
    const { life } = this.#pair;
    switch (standingOf(life, clock.nowMs(), limits)) {
      case "valid":
        return null;
      case "not yet valid":
        return `the certificate is valid only from ${day(life.notBeforeMs)} on; by the control plane's clock it is ${day(clock.nowMs())}`;
      case "expiring":
        return this.#withReason(`the certificate expires at ${day(life.notAfterMs)}`);
      case "expired":
        return this.#withReason(`the certificate expired at ${day(life.notAfterMs)}`);
    }
  }

  #withReason(text: string): string {
    const { given, orders } = this.#ports;
    const reason = given === null ? orders.trouble() : (this.#fault ?? "give a newer one in the same files");
    return reason === null ? text : `${text}; ${reason}`;
  }
}

function pairOf(pem: string, path: string): Pair | null {
  try {
    return readPair(pem, pem, { cert: path, key: path });
  } catch {
    return null;
  }
}
