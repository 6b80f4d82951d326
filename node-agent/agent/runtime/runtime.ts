// What runs instances: one interface, so that supervision does not know whether a container or a process is behind it.
import type { RuntimeKind } from "../../../contracts/agent-protocol.ts";
import type { DesiredInstance } from "../../../contracts/desired.ts";
import type { InstanceFailure } from "../../../contracts/failures.ts";
import type { AppId, InstanceId, ReleaseId, TeamId } from "../../../contracts/ids.ts";
import type { LogLine } from "../../../contracts/ticket.ts";
import type { PullCredential, Secrets } from "../link/asks.ts";

/** Why a run ended. exitCode is null where nobody was there to see it; endedAtMs is by this host's wall clock. */
export interface Exit {
  readonly endedAtMs?: number;
  readonly exitCode: number | null;
  readonly signal: string | null;
  readonly outOfMemory: boolean;
}

/** One container or process of this node, running or ended. life: changes with every start; startedAtMs: by this host's wall clock. */
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

/** Follows one unit's output. finish: its run is over; reads what it still wrote, within limits. stop: at once. */
export interface LogFollower {
  finish(): Promise<void>;
  stop(): Promise<void>;
}

export type OnLine = (line: LogLine) => void;

/** Pull progress over all layers known so far. */
export type OnProgress = (doneBytes: number, totalBytes: number) => void;

/** The platform's own variables (contracts/desired.ts), made by the agent. */
export type PlatformEnvironment = Readonly<Record<string, string>>;

export interface Runtime {
  readonly kind: RuntimeKind;
  /** Such as linux/amd64. */
  readonly platform: string;
  /** All units that carry this node's label, whoever started them. Throws when it cannot be known. */
  list(): Promise<Unit[]>;
  /** Ends are told once each; also those that happened while nobody listened, after a lost connection. */
  onExit(listener: (unit: Unit, exit: Exit) => void): void;
  /** Pulls or unpacks. Throws StartFailed. */
  prepare(
    desired: DesiredInstance,
    pullCredential: PullCredential | null,
    onProgress: OnProgress,
    signal: AbortSignal,
  ): Promise<Prepared>;
  /** Creates and starts, or adopts what carries the label already. Throws StartFailed. */
  launch(desired: DesiredInstance, prepared: Prepared, secrets: Secrets, platform: PlatformEnvironment): Promise<Unit>;
  /** Starts an ended unit again, as it was; null when that takes a launch (it is gone, or its environment is not at hand). */
  restart(unit: Unit): Promise<Unit | null>;
  /** Asks it to end, forces it after graceMs, removes what it left. Resolves when it is gone; its exit code if known. */
  stop(unit: Unit, graceMs: number): Promise<number | null>;
  /** Ends a run at once, leaving the unit for a restart: for instances that stopped answering. */
  kill(unit: Unit): Promise<void>;
  usage(unit: Unit): Promise<Usage | null>;
  logTail(unit: Unit, lines: number): Promise<string[]>;
  /** since: the last line that is on disk already, and how many there are of that very millisecond. */
  follow(unit: Unit, since: { atMs: number; linesAtThatMs: number } | null, onLine: OnLine): LogFollower;
  /** Drops what is kept for teams (networks) but for those named: they have instances here. */
  tidy(teams: ReadonlySet<string>): Promise<void>;
  /** Ends watching; what runs, runs on. */
  close(): Promise<void>;
}
