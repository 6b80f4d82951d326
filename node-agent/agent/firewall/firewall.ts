// Keeps the rules between tenants' containers and everything else in place: written before anything starts, looked at again and again.
import { readFile } from "node:fs/promises";
import type { Logger } from "pino";
import { pause } from "../link/pause.ts";
import { featuresOf, LOSSES } from "./features.ts";
import { areJumpsRight, inChains, removalLines, restoreLines } from "./layout.ts";
import { type Allowed, allowedNameServer, type Family, nameServersIn } from "./ranges.ts";
import { type Chains, chainsOf, type Feature, FEATURES, type RuleLimits, type RuleNames, ruleNames } from "./rules.ts";
import { readTable, restore, type Table, TablesFailed } from "./tables.ts";
import { watchTables } from "./watch.ts";

/** required: nothing is started without the rules. auto: what can be written is, and what cannot is told. */
export type FirewallMode = "required" | "auto" | "off";

export interface FirewallLimits extends RuleLimits {
  readonly firewallLookMs: number;
}

export interface FirewallOptions {
  readonly node: string;
  readonly mode: FirewallMode;
  readonly allowed: readonly Allowed[];
  /** Whom containers ask for names; empty: whom this host asks. */
  readonly nameServers: readonly string[];
  readonly limits: FirewallLimits;
  readonly log: Logger | null;
}

/** weak: something of it cannot be had here. missing: nothing of it can. */
export type Standing =
  { readonly kind: "whole" | "off" } | { readonly kind: "weak" | "missing"; readonly message: string };

export interface FirewallTold {
  /** How it stands, whenever it was looked at. */
  readonly stands: (standing: Standing) => void;
  /** Somebody had changed the rules, and they were written again. times: since this agent began. */
  readonly restored: (families: readonly string[], times: number) => void;
}

/** key: what was to be written; seen: how iptables showed it afterwards. */
interface Written {
  readonly key: string;
  readonly seen: string;
}

const TRIES_MAX = 10;
/** After what a watch saw: dockerd and firewall services write many rules in a row. */
const SETTLE_MS = 50;

export class Firewall {
  readonly #options: FirewallOptions;
  readonly #names: RuleNames;
  readonly #foreign = new Set<string>();
  readonly #features = new Map<Family, Set<Feature>>();
  readonly #written = new Map<Family, Written>();
  readonly #stop = new AbortController();
  #told: FirewallTold = { stands: () => undefined, restored: () => undefined };
  #asserting: Promise<string | null> = Promise.resolve(null);
  #times = 0;
  #loop: Promise<void> = Promise.resolve();
  #wake: () => void = () => undefined;

  constructor(options: FirewallOptions) {
    this.#options = options;
    this.#names = ruleNames(options.node);
  }

  start(told: FirewallTold): void {
    this.#told = told;
    if (this.#options.mode === "off") return told.stands({ kind: "off" });
    watchTables(this.#stop.signal, () => this.#wake());
    this.#loop = this.#run();
  }

  async stop(): Promise<void> {
    this.#stop.abort();
    this.#wake();
    await this.#loop;
  }

  /** A bridge that does not bear this node's name: of a network from before bridges did. */
  addForeign(bridge: string): void {
    this.#foreign.add(bridge);
  }

  /** The rules are in place for every bridge that is there now. Throws where they are required and cannot be. */
  async assert(): Promise<void> {
    if (this.#options.mode === "off") return;
    // One after the other: a caller's bridge may have come after the one before had looked.
    const asserting = this.#asserting.then(() => this.#assertAll());
    this.#asserting = asserting;
    const missing = await asserting;
    if (missing !== null && this.#options.mode === "required") throw new TablesFailed(missing);
  }

  /** Nothing of them is left. */
  async remove(): Promise<void> {
    for (const family of ["v4", "v6"] as const) {
      const table = await readTable(family).catch(() => null);
      const lines = table === null ? [] : removalLines(table, this.#names);
      if (lines.length > 0) await restore(family, lines).catch(() => undefined);
    }
  }

  async #run(): Promise<void> {
    while (!this.#stop.signal.aborted) {
      await this.assert().catch(() => undefined);
      const woken = new AbortController();
      this.#wake = () => woken.abort();
      await pause(this.#options.limits.firewallLookMs, AbortSignal.any([this.#stop.signal, woken.signal]));
      if (woken.signal.aborted) await pause(SETTLE_MS, this.#stop.signal);
    }
  }

  /** Why the rules are not in place; null: they are, as far as this host's iptables goes. */
  async #assertAll(): Promise<string | null> {
    const missing: string[] = [];
    const lacking: string[] = [];
    const restored: string[] = [];
    for (const family of await familiesHere()) {
      try {
        if (await this.#assertOne(family)) restored.push(family === "v4" ? "IPv4" : "IPv6");
        const features = this.#features.get(family);
        for (const feature of FEATURES) if (!features?.has(feature)) lacking.push(feature);
      } catch (error) {
        this.#options.log?.warn({ family, error: String(error) }, "the firewall's rules");
        missing.push(error instanceof Error ? error.message : String(error));
      }
    }
    const absent = missing.length === 0 ? null : `tenants' containers are not kept apart: ${missing.join("; ")}`;
    const weak = [...new Set(lacking as Feature[])].map((feature) => `no ${feature}: ${LOSSES[feature]}`);
    if (absent !== null) this.#told.stands({ kind: "missing", message: absent });
    else if (weak.length === 0) this.#told.stands({ kind: "whole" });
    else this.#told.stands({ kind: "weak", message: `this host's iptables has ${weak.join("; ")}` });
    if (restored.length > 0) {
      this.#times += 1;
      this.#options.log?.warn({ restored, times: this.#times }, "somebody had changed the firewall's rules");
      this.#told.restored(restored, this.#times);
    }
    return absent;
  }

  /** Whether somebody else had changed what was written. */
  async #assertOne(family: Family): Promise<boolean> {
    const names = this.#names;
    const foreign = [...this.#foreign];
    const features = this.#features.get(family) ?? (await featuresOf(family, names));
    this.#features.set(family, features);
    const ruled = { names, foreign, bridges: [...(await this.#bridges()), ...foreign], ...(await this.#ways()) };
    const chains = chainsOf(ruled, family, features);
    const key = JSON.stringify([chains, foreign]);
    const before = this.#written.get(family);
    const asBefore = before?.key === key;
    for (let tries = 1; ; tries += 1) {
      const table = await readTable(family);
      if (asBefore && inChains(table, names) === before.seen && areJumpsRight(table, names, foreign)) return false;
      // Engines take their own jumps out and put them in again, at every network they make: no change that lasts.
      if (asBefore && tries === 1) await pause(SETTLE_MS, this.#stop.signal);
      else if (await this.#write(family, table, chains, key)) return asBefore;
      else if (tries === TRIES_MAX)
        throw new TablesFailed("others change this host's rules as fast as they are written");
      else await pause(SETTLE_MS, this.#stop.signal);
    }
  }

  /** Whether they stand as they were to: somebody may change the table between a look and a change, or after it. */
  async #write(family: Family, table: Table, chains: Chains, key: string): Promise<boolean> {
    const [names, foreign] = [this.#names, [...this.#foreign]];
    this.#written.delete(family);
    try {
      await restore(family, restoreLines(table, names, chains, foreign));
    } catch (error) {
      // Of a table that is as it was, it is no stale look: iptables itself refuses.
      if (JSON.stringify([...(await readTable(family))]) === JSON.stringify([...table])) throw error;
      return false;
    }
    const after = await readTable(family);
    if (!areJumpsRight(after, names, foreign)) return false;
    this.#written.set(family, { key, seen: inChains(after, names) });
    return true;
  }

  async #bridges(): Promise<string[]> {
    const prefix = this.#names.bridges.slice(0, -1);
    const devices = await readFile("/proc/net/dev", "utf8");
    return [...devices.matchAll(/^\s*([^\s:]+):/gm)]
      .map(([, name = ""]) => name)
      .filter((name) => name.startsWith(prefix));
  }

  async #ways(): Promise<{ allowed: readonly Allowed[]; limits: RuleLimits }> {
    const { allowed, nameServers, limits } = this.#options;
    const asked = nameServers.length > 0 ? nameServers : await hostNameServers();
    return { allowed: [...asked.map(allowedNameServer), ...allowed], limits };
  }
}

/** As the Engine picks them: where only this host's own resolver is named, those behind it. */
async function hostNameServers(): Promise<string[]> {
  const text = await readFile("/etc/resolv.conf", "utf8").catch(() => "");
  if (!/^[ \t]*nameserver[ \t]+127\.0\.0\.53\b/m.test(text)) return nameServersIn(text);
  return nameServersIn(await readFile("/run/systemd/resolve/resolv.conf", "utf8").catch(() => text));
}

/** A kernel without IPv6 has nothing to close there. */
async function familiesHere(): Promise<Family[]> {
  const addresses = await readFile("/proc/net/if_inet6", "utf8").catch(() => null);
  return addresses === null ? ["v4"] : ["v4", "v6"];
}
