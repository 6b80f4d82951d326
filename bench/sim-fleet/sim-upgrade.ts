// A simulated node's part in agent upgrades: it judges releases with the agent's own code, fetches and checks their bytes, and is silent
// for as long as a real agent is while it makes way. What a bundle would do is written in it.
import { createHash } from "node:crypto";
import type { AgentReport, DesiredAgent, ReleaseKey } from "../../contracts/agent-release.ts";
import { judgeStep, verifyManifest } from "../../node-agent/agent/upgrade/manifest.ts";

export interface UpgradeWish {
  readonly version: string;
  readonly keys: readonly ReleaseKey[];
  /** As AGENT_LIMITS.agentTrialMs. */
  readonly trialMs: number;
}

/** The whole of a simulated bundle, beside what pads it to size. */
export type SimBundle = { readonly does: "serve" | "crash" | "stay mute" };

export interface Upgraded {
  readonly version: string;
  /** Releases of which it heard. */
  readonly heardOf: number;
  readonly reverts: number;
  readonly fetchedBytes: number;
}

interface Ports {
  readonly fetch: (sha256: string) => Promise<string>;
  readonly restart: (downMs: number) => Promise<void>;
  readonly changed: () => void;
}

/** Measured on the real agent: from its last heartbeat to the first of the next one; an end at once, twice, and the way back. */
const RESTART_MS = 700;
const CRASHES_MS = 1_200;

export class SimUpgrade {
  version: string;
  readonly #wish: UpgradeWish;
  readonly #ports: Ports;
  #told: AgentReport["upgrade"] = null;
  #attempt: string | null = null;
  #sha256 = "0".repeat(64);
  readonly #seen = { heardOf: 0, reverts: 0, fetchedBytes: 0 };

  constructor(wish: UpgradeWish, ports: Ports) {
    this.#wish = wish;
    this.#ports = ports;
    this.version = wish.version;
  }

  read(): Upgraded {
    return { version: this.version, ...this.#seen };
  }

  report(): AgentReport {
    return { able: true, sha256: this.#sha256, upgrade: this.#told, gatewayVersion: this.version };
  }

  consider(desired: DesiredAgent | undefined): void {
    if (desired === undefined || desired.attempt === this.#attempt) return;
    this.#attempt = desired.attempt;
    this.#seen.heardOf += 1;
    void this.#go(desired);
  }

  async #go({ attempt, manifest: signed }: DesiredAgent): Promise<void> {
    const { fetch, restart, changed } = this.#ports;
    try {
      const manifest = await verifyManifest(signed, this.#wish.keys);
      if (judgeStep(manifest, { version: this.version, sha256: this.#sha256 }) === "same") return;
      const text = await fetch(manifest.sha256);
      this.#seen.fetchedBytes += text.length;
      if (createHash("sha256").update(text).digest("hex") !== manifest.sha256) throw new Error("other bytes");
      const { does } = JSON.parse(text) as SimBundle;
      if (does === "serve") {
        this.version = manifest.version;
        this.#sha256 = manifest.sha256;
        return restart(RESTART_MS);
      }
      this.#seen.reverts += 1;
      await restart(RESTART_MS + (does === "crash" ? CRASHES_MS : this.#wish.trialMs));
      this.#told = { attempt, state: "reverted", message: does };
    } catch (error) {
      this.#told = { attempt, state: "refused", message: String(error) };
    }
    changed();
  }
}
