// What runs instances: one interface, so that supervision does not know whether a container or a process is behind it.
import type { RuntimeKind } from "../../../contracts/agent-protocol.ts";
import type { DesiredInstance } from "../../../contracts/desired.ts";
import type { InstanceFailure } from "../../../contracts/failures.ts";
import type { AppId, InstanceId, NodeId, ReleaseId, TeamId } from "../../../contracts/ids.ts";
import type { RuntimeClass } from "../../../contracts/release.ts";
import type { LogLine } from "../../../contracts/ticket.ts";
import type { AgentLimits } from "../../../core/converge/limits.ts";
import type { Exception } from "../../../core/outbound/exceptions.ts";
import type { DiskGate } from "../disk/disk-gate.ts";
import type { Firewall } from "../firewall/firewall.ts";
import type { PullCredential, Secrets } from "../link/asks.ts";
import type { Bundles } from "./bundles.ts";

/** Where a runtime lives: the agent's folder, and what it shares with the rest of the agent. */
export interface RuntimePlace {
  readonly dir: string;
  readonly node: NodeId;
  readonly limits: AgentLimits;
  readonly bundles: Bundles;
  readonly gate: DiskGate;
  readonly firewall: Firewall;
  /** What images are pulled from although it is not the internet. */
  readonly outboundAllowed: readonly Exception[];
  /** Whom containers ask for names; empty: whom this host asks. */
  readonly nameServers: readonly string[];
}

/**
 * Why a run ended. exitCode is null where nobody was there to see it; endedAtMs is by this host's wall clock. cause: engine,
 * it went down with the Engine that ran it; missing, somebody removed its container; disk, it wrote more than it may (why); logs, it printed
 * more than it may; memory, it ran out of it more often than it may.
 */
export interface Exit {
  readonly endedAtMs?: number;
  readonly exitCode: number | null;
  readonly signal: string | null;
  readonly outOfMemory: boolean;
  readonly cause?: "engine" | "missing" | "disk" | "logs" | "memory";
  readonly why?: string;
}

/**
 * One container or process of this node, running or ended. life: changes with every start; startedAtMs: by this host's wall
 * clock. pid: of its first process, as this host numbers them; null where none runs.
 */
export interface Unit {
  readonly instance: InstanceId;
  readonly generation: number;
  readonly app: AppId;
  readonly team: TeamId;
  readonly release: ReleaseId;
  readonly id: string;
  readonly host: string;
  readonly port: number;
  readonly digest: string | null;
  readonly life: string;
  readonly startedAtMs: number;
  readonly pid: number | null;
  readonly exit: Exit | null;
}

/** cpuMs since this life began; memoryBytes is what is held now. */
export interface Usage {
  readonly cpuMs: number;
  readonly memoryBytes: number;
}

/** What a release resolved to on this node. image: what the Engine is asked to create from; folder: a bundle unpacked. */
export type Prepared =
  | { readonly kind: "image"; readonly image: string; readonly digest: string | null }
  | { readonly kind: "bundle"; readonly archive: string; readonly folder: string; readonly digest: string };

/** An expected failure of a start: it becomes the instance's status. */
export class StartFailed extends Error {
  readonly failure: InstanceFailure;
  constructor(code: InstanceFailure["code"], message: string) {
    super(message);
    this.failure = { code, message: message.slice(0, 2_000), exitCode: null, signal: null, logTail: [] };
  }
}

/** The Engine is out of reach: nothing is known, nothing failed, and nothing may be concluded about what runs. */
export class EngineAway extends Error {}

/** The Engine was lost, or is back after having been away for awayMs. */
export type EngineChange = { readonly kind: "away" } | { readonly kind: "back"; readonly awayMs: number };

/** An image that is here. names: what it can be removed by; usedAtMs: wall clock, 0 when this agent never used it. */
export interface StoredImage {
  readonly digests: readonly string[];
  readonly names: readonly string[];
  readonly bytes: number;
  readonly usedAtMs: number;
  readonly inUse: boolean;
  /** This agent pulled it, so it can be had again; others' images are not ours to remove. */
  readonly pulled: boolean;
}

/** Follows one unit's output. finish: its run is over; reads what it still wrote, within limits. stop: at once. */
export interface LogFollower {
  finish(): Promise<void>;
  stop(): Promise<void>;
}

export type OnLine = (line: LogLine) => void;

/** lacks: what it does not keep within limits, for people. */
export interface RuntimeIsolation {
  readonly runtimeClasses: readonly RuntimeClass[];
  readonly userNamespaces: boolean;
  readonly seccomp: boolean;
  readonly confined: boolean;
  readonly lacks: readonly string[];
}

/** Pull progress over all layers known so far. */
export type OnProgress = (doneBytes: number, totalBytes: number) => void;

/** The platform's own variables (contracts/desired.ts), made by the agent. */
export type PlatformEnvironment = Readonly<Record<string, string>>;

/** missing: somebody took away what was to be started again. launch: it takes a launch, because its environment is not at hand. */
export type Restarted =
  { readonly kind: "started"; readonly unit: Unit } | { readonly kind: "missing" } | { readonly kind: "launch" };

export interface Runtime {
  readonly kind: RuntimeKind;
  /** Such as linux/amd64. */
  readonly platform: string;
  /** All units that carry this node's label, whoever started them. Throws when it cannot be known. */
  list(): Promise<Unit[]>;
  /**
   * Lists again, tells of ends that no event told of, and removes what carries this node's label but names no instance that
   * could be read; of those, a word for each.
   */
  sweep(): Promise<{ units: Unit[]; unreadable: string[] }>;
  onEngine(listener: (change: EngineChange) => void): void;
  /** Resolves once the Engine can be asked, or the signal is aborted. */
  whenUp(signal: AbortSignal): Promise<void>;
  /** Ends are told once each; also those that happened while nobody listened, after a lost connection. */
  onExit(listener: (unit: Unit, exit: Exit) => void): void;
  /** Pulls or unpacks. Throws StartFailed. */
  prepare(
    desired: DesiredInstance,
    pullCredential: PullCredential | null,
    onProgress: OnProgress,
    signal: AbortSignal,
  ): Promise<Prepared>;
  /** Creates and starts, or adopts what carries the label already. Throws StartFailed, or EngineAway. */
  launch(desired: DesiredInstance, prepared: Prepared, secrets: Secrets, platform: PlatformEnvironment): Promise<Unit>;
  /** Starts an ended unit again, as it was. */
  restart(unit: Unit): Promise<Restarted>;
  /** Asks it to end, forces it after graceMs, removes what it left. Resolves when it is gone; its exit code if known. */
  stop(unit: Unit, graceMs: number): Promise<number | null>;
  /** Ends a run at once, leaving the unit for a restart: for instances that stopped answering. */
  kill(unit: Unit): Promise<void>;
  usage(unit: Unit): Promise<Usage | null>;
  /** What it was started with; null where that was secret and is not known any more. */
  environmentOf(unit: Unit): Promise<ReadonlyMap<string, string> | null>;
  logTail(unit: Unit, lines: number): Promise<string[]>;
  /** since: the last line that is on disk already, and how many there are of that very millisecond. */
  follow(unit: Unit, since: { atMs: number; linesAtThatMs: number } | null, onLine: OnLine): LogFollower;
  /** Drops what is kept for teams (networks) but for those named: they have instances here. */
  tidy(teams: ReadonlySet<string>): Promise<void>;
  images(): Promise<StoredImage[]>;
  removeImage(image: StoredImage): Promise<void>;
  /** How it keeps instances apart; null where it does not. Throws when it cannot be known. */
  isolation(): Promise<RuntimeIsolation | null>;
  /** Where its images and containers are kept on this host; null where there is no such place of its own. */
  dataFolder(): Promise<string | null>;
  /** Ends watching; what runs, runs on. */
  close(): Promise<void>;
}
