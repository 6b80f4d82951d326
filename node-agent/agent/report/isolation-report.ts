// How this node keeps tenants apart, as it tells the control plane: what there is, what there is not, and what somebody took away.
import type { Logger } from "pino";
import type { NodeIsolation } from "../../../contracts/node-isolation.ts";
import type { Firewall, FirewallMode, Standing } from "../firewall/firewall.ts";
import type { Runtime, RuntimeIsolation } from "../runtime/runtime.ts";
import type { Conditions } from "./conditions.ts";
import type { Notices } from "./notices.ts";

export interface IsolationPorts {
  readonly runtime: Runtime;
  readonly firewall: Firewall;
  readonly mode: FirewallMode;
  readonly log: Logger;
  readonly conditions: Conditions;
  readonly notices: Notices;
}

export class IsolationReport {
  readonly #ports: IsolationPorts;
  #standing: Standing | null = null;
  #engine: RuntimeIsolation | null = null;

  constructor(ports: IsolationPorts) {
    this.#ports = ports;
  }

  /** Null: not known yet, or of a runtime that keeps nothing apart. */
  get now(): NodeIsolation | null {
    if (this.#engine === null || this.#standing === null) return null;
    const { runtimeClasses, userNamespaces, seccomp, confined } = this.#engine;
    const engine = { runtimeClasses: [...runtimeClasses], userNamespaces, seccomp, confined };
    return { ...engine, firewall: this.#standing.kind };
  }

  start(): void {
    const { runtime, firewall, notices } = this.#ports;
    // What is not isolated at all has no rules: its operator was told so when it was chosen.
    if (runtime.kind !== "docker") return;
    firewall.start({
      stands: (standing) => this.#stands(standing),
      restored: (families, times) => {
        const often = times === 1 ? "for the first time" : `${times} times`;
        const told = `somebody changed this host's firewall: the ${families.join(" and ")} rules between tenants were written again (${often} since the agent started)`;
        void notices.add("isolation_restored", null, told);
      },
    });
    void this.look();
  }

  stop(): Promise<void> {
    return this.#ports.firewall.stop();
  }

  /** The Engine may be another one than before. */
  async look(): Promise<void> {
    const { runtime } = this.#ports;
    await runtime.whenUp(new AbortController().signal);
    this.#engine = await runtime.isolation().catch(() => this.#engine);
    this.#tell();
  }

  #stands(standing: Standing): void {
    this.#standing = standing;
    this.#tell();
  }

  #tell(): void {
    const { conditions, mode } = this.#ports;
    const standing = this.#standing;
    const message = standing?.kind === "weak" || standing?.kind === "missing" ? standing.message : null;
    const isMissing = standing?.kind === "missing" && mode === "required";
    conditions.set("isolation_missing", isMissing ? message : null);
    const weak = [
      ...(message === null || isMissing ? [] : [message]),
      ...(standing?.kind === "off" ? ["the firewall between tenants is switched off (--firewall off)"] : []),
      ...(this.#engine?.lacks ?? []).map((lack) => `the Engine has ${lack}`),
    ];
    conditions.set("isolation_weak", weak.length === 0 ? null : weak.join("; "));
  }
}
