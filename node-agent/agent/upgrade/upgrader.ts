// Brings this node over to the agent that its document names: judged, fetched, checked, and then made way for. The launcher starts
// it and takes it back; whatever happens is told in heartbeats under the attempt that asked for it.
import type { Readable } from "node:stream";
import type { Logger } from "pino";
import type { AgentManifest, AgentReport, DesiredAgent, ReleaseKey } from "../../../contracts/agent-release.ts";
import type { AgentLimits } from "../../../core/converge/limits.ts";
import { sha256Of } from "../../launcher/launch-state.ts";
import { Refused } from "../link/control.ts";
import { backoffMs, pause } from "../link/pause.ts";
import type { Notices } from "../report/notices.ts";
import { AGENT_VERSION } from "../version.ts";
import { type BundleStore, WrongBytes } from "./bundle-store.ts";
import type { LauncherLink } from "./launcher-link.ts";
import { judgeStep, ManifestRefused, type Running, verifyManifest } from "./manifest.ts";

export interface UpgraderPorts {
  readonly limits: AgentLimits;
  readonly log: Logger;
  readonly keys: readonly ReleaseKey[];
  /** null: none is above this agent. */
  readonly launcher: Pick<LauncherLink, "state" | "switchTo" | "heard"> | null;
  readonly store: BundleStore;
  readonly notices: Notices;
  /** The bytes of a release. */
  readonly fetch: (sha256: string, signal: AbortSignal) => Promise<Readable>;
  readonly nowMs: () => number;
  /** There is something new to tell. */
  readonly changed: () => void;
  /** This agent was on trial and is not any more: what older processes of this node may go over to it. */
  readonly proven: () => void;
  /** This agent ends, as on SIGTERM; what runs, runs on. */
  readonly leave: () => void;
}

type State = NonNullable<AgentReport["upgrade"]>["state"];

/** A release that is not due yet is looked at again this often: the control plane's time may be set right meanwhile. */
const DUE_LOOK_MS = 30_000;

export class Upgrader {
  readonly #ports: UpgraderPorts;
  readonly #running: Running;
  readonly #unable: string | null;
  #told: AgentReport["upgrade"] = null;
  #attempt: string | null = null;
  #stop = new AbortController();
  #heard = false;

  constructor(ports: UpgraderPorts) {
    this.#ports = ports;
    const entry = process.argv[1] ?? "";
    this.#running = { version: AGENT_VERSION, sha256: sha256Of(entry) ?? "" };
    const { launcher, keys } = ports;
    if (launcher === null) this.#unable = "no launcher started this agent: install it anew";
    else this.#unable = keys.length === 0 ? "this agent has no release keys: give it --release-keys" : null;
  }

  /** Of an earlier attempt that ended here: what this agent has to tell of it. */
  begin(): void {
    const { launcher, notices, log } = this.#ports;
    const reverted = launcher?.state?.reverted ?? null;
    if (reverted === null) return;
    const { attempt, version, why } = reverted;
    log.warn({ version, why }, "the new agent did not come back; this one goes on");
    const told = `agent ${version ?? "of unknown version"} did not come back, so ${AGENT_VERSION} goes on: ${why}`;
    void notices.add("agent_reverted", null, told, `reverted/${attempt}`);
    this.#told = { attempt, state: "reverted", message: why.slice(0, 500) };
  }

  get hasHeard(): boolean {
    return this.#heard;
  }

  /** A heartbeat was acknowledged. */
  heard(): void {
    if (this.#heard) return;
    this.#heard = true;
    const { launcher, notices, store, proven } = this.#ports;
    const state = launcher?.state ?? null;
    launcher?.heard();
    if (state === null || state.attempt === null) return;
    const from = state.previous?.version ?? "the installed one";
    const told = `agent ${AGENT_VERSION} took over from ${from}; what ran, ran on`;
    void notices.add("agent_upgraded", null, told, `upgraded/${state.attempt}`);
    proven();
    const kept = [state.current, ...(state.previous ? [state.previous] : [])].map(({ path }) => path);
    void store.keepOnly(kept).catch(() => undefined);
  }

  report(gatewayVersion: string | null): AgentReport {
    return {
      able: this.#unable === null,
      ...(this.#unable === null ? {} : { unable: this.#unable }),
      sha256: this.#running.sha256 || null,
      upgrade: this.#told,
      gatewayVersion,
    };
  }

  /** What the document names now. The same attempt is begun once; another word ends what is under way for the one before. */
  consider(desired: DesiredAgent | undefined): void {
    if (this.#unable !== null || (desired?.attempt ?? null) === this.#attempt) return;
    this.#stop.abort();
    this.#stop = new AbortController();
    this.#attempt = desired?.attempt ?? null;
    if (desired === undefined || this.#isOver(desired.attempt)) return;
    void this.#go(desired, this.#stop.signal);
  }

  stop(): void {
    this.#stop.abort();
  }

  #isOver(attempt: string): boolean {
    return this.#told?.attempt === attempt && this.#told.state === "reverted";
  }

  async #go({ attempt, manifest: signed }: DesiredAgent, signal: AbortSignal): Promise<void> {
    const { log, keys, store, limits } = this.#ports;
    const tell = (state: State, message = "") => this.#tell(signal, { attempt, state, message: message.slice(0, 500) });
    try {
      const manifest = await verifyManifest(signed, keys);
      if (judgeStep(manifest, this.#running) === "same") return;
      await this.#untilDue(manifest, tell, signal);
      tell("fetching");
      if (!(await store.has(manifest))) {
        await store.admit(manifest, limits.agentDiskSlackBytes);
        await this.#fetch(manifest, tell, signal);
      }
      signal.throwIfAborted();
      tell("switching");
      this.#switch(manifest, attempt);
    } catch (error) {
      if (signal.aborted) return;
      const why = error instanceof Error ? error.message : String(error);
      log.warn({ attempt, why }, "an agent release is refused");
      tell("refused", why);
    }
  }

  #tell(signal: AbortSignal, told: NonNullable<AgentReport["upgrade"]>): void {
    if (signal.aborted) return;
    this.#told = told;
    this.#ports.changed();
  }

  async #untilDue({ notBefore }: AgentManifest, tell: (state: State, message: string) => void, signal: AbortSignal) {
    const { nowMs } = this.#ports;
    for (let leftMs = notBefore - nowMs(); leftMs > 0; leftMs = notBefore - nowMs()) {
      tell("waiting", `it is not to run before ${new Date(notBefore).toISOString()}`);
      await pause(Math.min(leftMs, DUE_LOOK_MS), signal);
      signal.throwIfAborted();
    }
  }

  /** What the network does is tried again for as long as it is wanted; bytes that are not those of the manifest only a few times. */
  async #fetch(manifest: AgentManifest, tell: (state: State, message: string) => void, signal: AbortSignal) {
    const { store, fetch, limits } = this.#ports;
    let wrong = 0;
    for (let failures = 1; ; failures += 1) {
      try {
        await store.store(manifest, await fetch(manifest.sha256, signal));
        return;
      } catch (error) {
        signal.throwIfAborted();
        const why = error instanceof Error ? error.message : String(error);
        const refused = error instanceof Refused && error.status < 500 && error.status !== 429;
        if (error instanceof WrongBytes) wrong += 1;
        if (refused || wrong >= limits.agentFetchTriesMax) throw new ManifestRefused(`it cannot be fetched: ${why}`);
        tell("fetching", why);
        await pause(backoffMs(failures, limits.askBackoffMinMs, limits.askBackoffMaxMs, null), signal);
        signal.throwIfAborted();
      }
    }
  }

  #switch(manifest: AgentManifest, attempt: string): void {
    const { launcher, store, log, leave } = this.#ports;
    const { version, sha256 } = manifest;
    const state = launcher?.state ?? null;
    if (state === null) throw new ManifestRefused("the launcher's file cannot be read: install the agent anew");
    const current = { path: store.pathOf(manifest), version, sha256 };
    const previous = { ...state.current, version: AGENT_VERSION };
    launcher?.switchTo({ ...state, current, previous, attempt, reverted: null });
    log.info({ version, sha256 }, "another agent takes over");
    leave();
  }
}
