// The events an App object is stepped with, what it answers, and the effects it asks for. Its rows: tables.ts.
import type { Accepted, App, Instance, Rollout } from "../../contracts/api.ts";
import type { EnvironmentDraft } from "../../contracts/environment.ts";
import type { BerthEvent } from "../../contracts/events.ts";
import type { InstanceCounters } from "../../contracts/agent-protocol.ts";
import type { Result } from "../../contracts/failures.ts";
import type {
  AppId,
  CellName,
  InstanceId,
  NodeId,
  ProjectId,
  RegionName,
  RolloutId,
  TeamId,
} from "../../contracts/ids.ts";
import type { Grant, Holding } from "../../contracts/quota.ts";
import type { Release, ReleaseSpec } from "../../contracts/release.ts";
import type { RolloutCommand, RolloutPlan, SmokeCheck, TrafficPut } from "../../contracts/rollout-plan.ts";
import type { Endpoint, HostRecord, Route } from "../../contracts/route.ts";
import type { Limits } from "../limits.ts";
import type { CellSummary, CellToApp, ReserveAnswer } from "../messages.ts";
import type { At, Decision, Durable } from "../step.ts";
import type { SealedItem, SealedPage } from "./sealed.ts";
import type { AppTables, AppVolatile, CellCall, Sealed } from "./tables.ts";

export * from "./tables.ts";

// ---- events: one for each method of AppRpc, and one for each outcome of an effect ----

/**
 * requestHash: what the key is held against, for inputs that differ each time although the request is the same (freshly
 * sealed values); where absent, the input itself.
 */
export interface Asked {
  readonly actor: string;
  readonly idempotencyKey: string | null;
  readonly requestHash?: string;
  /** By keys from before: under which an earlier try may be kept. */
  readonly olderHashes?: readonly string[];
}

/**
 * grant: what it may hold from now on; null: no more than it holds. Absent: nobody counts (a Worker of an older version). unspent: the
 * team has no quota for it, or may not run it: only what was accepted before under the same key is answered. digest: of the image, where it was
 * looked at before the release; another try may have found another one.
 */
export interface Granted {
  readonly unspent?: true;
  readonly grant?: Grant | null;
  readonly digest?: string;
  /** Of those that make a release: the values of its references, sealed for it. */
  readonly resolved?: Resolved;
}

/** By variable. reference: as the draft has it, so that what changed meanwhile is not taken for it. */
export type Resolved = Readonly<Record<string, { readonly reference: string; readonly sealed: Sealed }>>;

/** What it holds, by the grants it knows of. settled: a rollout under way may still give some back. */
export interface HoldingReport {
  readonly amounts: Holding;
  readonly version: number;
  readonly settled: boolean;
}
/** changed: it was more or less before. released: a release was made, and not merely the answer to an earlier request given again. */
export interface Held {
  readonly held?: HoldingReport & { readonly changed: boolean; readonly released: boolean };
}

export interface AppInputs {
  create: Asked & {
    readonly app: AppId;
    readonly team: TeamId;
    readonly project: ProjectId;
    readonly name: string;
    readonly hostnames: readonly string[];
    readonly regions: readonly RegionName[];
    readonly replicas: number;
  };
  read: { readonly withInstances?: boolean };
  acceptRelease: Asked &
    Granted & {
      readonly spec: ReleaseSpec;
      readonly replicas?: number;
      readonly message?: string;
      readonly deadlineMs?: number;
      readonly plan?: RolloutPlan;
      readonly privateImage: boolean;
    };
  /** force: also what a check refused. */
  rollback: Asked & Granted & { readonly version?: number; readonly force?: boolean };
  scale: Asked & Granted & { readonly replicas: number };
  restart: Asked;
  changeEnvironment: Asked & Granted & { readonly set: Record<string, Sealed>; readonly unset: readonly string[] };
  /** ifRevision: only while the rollout's revision is that. */
  controlRollout: Asked & {
    readonly rollout: RolloutId;
    readonly command: RolloutCommand;
    readonly ifRevision?: number;
    /** Of promote: all that is left. */
    readonly full?: boolean;
    readonly reason?: string;
  };
  setTraffic: Asked & Granted & TrafficPut;
  setMaintenance: Asked & { readonly on: boolean };
  destroy: Asked;
  listReleases: { readonly beforeVersion?: number; readonly limit: number };
  readRollout: { readonly rollout: RolloutId };
  listRollouts: { readonly limit: number };
  listInstances: { readonly all?: boolean };
  route: Record<never, never>;
  listEvents: { readonly afterSeq: number; readonly limit: number };
  environment: { readonly instance: InstanceId; readonly generation: number; readonly node: NodeId };
  /** ackedSeq: what the Cell has had acknowledged. Higher than what is known here: the Cell had forgotten this App. */
  deliver: { readonly cell: CellName; readonly ackedSeq?: number; readonly messages: readonly CellToApp[] };
  verified: {
    readonly rollout: RolloutId;
    readonly results: readonly {
      readonly instance: InstanceId;
      readonly generation: number;
      readonly ok: boolean;
      readonly message: string;
      /** It answered, but not as the smoke check wants. */
      readonly smoke?: boolean;
    }[];
  };
  /** From a Cell, of its watched instances: cumulative, in no order, and some may be lost. */
  counted: { readonly cell: CellName; readonly items: readonly InstanceCounters[] };
  reportUnreachable: {
    readonly instance: InstanceId;
    readonly generation: number;
    readonly kind: "connect" | "gateway_5xx";
    readonly atMs: number;
  };
  /** after: of the page before; null: the first. */
  readSealed: { readonly after: string | null };
  readDraft: { readonly names: readonly string[] };
  rewrap: { readonly items: readonly (SealedItem & { readonly fresh: Sealed })[] };
  poke: Record<never, never>;
  /** From the sweep: how much it holds. seen: the newest grant that Postgres has given; an older one counts no more. */
  holding: { readonly seen: number };
}

export interface AppReplies {
  create: Result<App>;
  read: Result<App>;
  acceptRelease: Result<Accepted & Held>;
  rollback: Result<Accepted & Held>;
  scale: Result<Accepted & Held>;
  restart: Result<Accepted>;
  changeEnvironment: Result<Accepted & Held>;
  controlRollout: Result<Rollout>;
  setTraffic: Result<Accepted & Held>;
  setMaintenance: Result<App>;
  destroy: Result<App>;
  listReleases: Result<{ items: Release[]; more: boolean }>;
  readRollout: Result<Rollout>;
  listRollouts: Result<{ items: Rollout[] }>;
  listInstances: Result<{ items: Instance[] }>;
  route: Result<Route>;
  listEvents: Result<{ items: BerthEvent[]; lastSeq: number }>;
  environment: Result<{
    team: TeamId;
    app: AppId;
    sealed: Record<string, Sealed>;
    privateImage: boolean;
    spec: ReleaseSpec;
  }>;
  deliver: { ackSeq: number };
  verified: Result<null>;
  counted: null;
  reportUnreachable: Result<null>;
  readDraft: Result<EnvironmentDraft>;
  readSealed: Result<SealedPage>;
  rewrap: Result<{ changed: number }>;
  poke: Result<{ nextAtMs: number | null }>;
  holding: Result<HoldingReport>;
}

export type AppMethod = keyof AppInputs;
export type AppMethodEvent = {
  [Method in AppMethod]: { readonly kind: Method; readonly input: AppInputs[Method] };
}[AppMethod];

/** How effects came out. An effect whose outcome never arrives is repeated by itself, so a shell may drop an outcome, never invent one. */
export type AppOutcome =
  /** The Cell answered `call_cell` of a reserve. */
  | { readonly kind: "reserved"; readonly call: string; readonly answer: Result<ReserveAnswer> }
  /** The Cell answered `call_cell` of a commit. */
  | { readonly kind: "committed"; readonly call: string; readonly answer: Result<null> }
  /** The Cell answered `call_cell` of an update. */
  | { readonly kind: "updated"; readonly call: string; readonly answer: Result<null> }
  /** `call_cell` threw or timed out: nobody knows whether it took effect. */
  | { readonly kind: "call_failed"; readonly call: string; readonly message: string }
  /** The Region answered `ask_region`. */
  | { readonly kind: "cells_known"; readonly region: RegionName; readonly items: readonly CellSummary[] }
  | { readonly kind: "region_failed"; readonly region: RegionName; readonly message: string }
  /** `publish_route` put this version into KV. */
  | { readonly kind: "route_written"; readonly version: number }
  | { readonly kind: "route_failed"; readonly version: number; readonly message: string }
  /** `drain_outbox` came back; lastSeq: what Postgres has of this source. */
  | { readonly kind: "outbox_acked"; readonly lastSeq: number }
  | { readonly kind: "outbox_failed"; readonly message: string }
  /** The Host object answered `claim_host`: ok, or it belongs to another app. */
  | { readonly kind: "host_claimed"; readonly hostname: string; readonly ok: boolean }
  | { readonly kind: "host_released"; readonly hostname: string }
  /** `claim_host` or `release_host` threw. */
  | { readonly kind: "host_failed"; readonly hostname: string; readonly message: string }
  /** `verify` threw before the verifier could report. */
  | { readonly kind: "verify_failed"; readonly rollout: RolloutId; readonly message: string }
  /** `probe_instances` came back. If it could not be carried out there is no outcome: it is repeated by itself. */
  | {
      readonly kind: "instances_probed";
      readonly results: readonly {
        readonly instance: InstanceId;
        readonly generation: number;
        readonly ok: boolean;
        readonly message: string;
      }[];
    }
  /** Time has passed: the alarm, at or after wakeAtMs. One that comes early is harmless. */
  | { readonly kind: "tick" };

export type AppEvent = AppMethodEvent | AppOutcome;
export type AppReply<Kind extends AppEvent["kind"]> = Kind extends AppMethod ? AppReplies[Kind] : null;

// ---- effects ----

/** path: what its release is asked for readiness by, else `/`. */
export interface ProbeTarget {
  readonly endpoint: Endpoint;
  readonly path: string;
}

export type AppEffect =
  /** Ask the Region object for its cells → cells_known | region_failed. */
  | { readonly kind: "ask_region"; readonly region: RegionName }
  /** Call a Cell: reserve → reserved, commit → committed, update → updated, any → call_failed. call: the row's key. */
  | { readonly kind: "call_cell"; readonly call: string; readonly cell: CellName; readonly request: CellCall }
  /** Put the route into KV under routeKey(app) → route_written | route_failed. */
  | { readonly kind: "publish_route"; readonly route: Route }
  /** VerifierRpc.verify → it calls App.verified itself; verify_failed if it could not be reached. */
  | {
      readonly kind: "verify";
      readonly rollout: RolloutId;
      readonly route: Route;
      readonly instances: readonly InstanceId[];
      readonly path: string;
      /** Statuses that pass; absent: any answer does. */
      readonly smoke?: SmokeCheck;
    }
  /** InstanceProbeRpc.probe: a second opinion on instances that edges reported → instances_probed. */
  | {
      readonly kind: "probe_instances";
      readonly app: AppId;
      readonly team: TeamId;
      readonly name: string;
      readonly targets: readonly ProbeTarget[];
    }
  /** Send {"lastSeq": n} to every socket on /events. No outcome. */
  | { readonly kind: "notify_events"; readonly lastSeq: number }
  /** Hand these rows to OutboxSinkRpc.accept → outbox_acked | outbox_failed. */
  | { readonly kind: "drain_outbox"; readonly source: string; readonly events: readonly BerthEvent[] }
  /** Host.claim, and the record into KV under hostKey(hostname) → host_claimed | host_failed. */
  | { readonly kind: "claim_host"; readonly record: HostRecord }
  /** Host.release, and the KV key gone → host_released | host_failed. */
  | { readonly kind: "release_host"; readonly hostname: string; readonly app: AppId };

export type AppDurable = Durable<AppTables>;
export type AppDecision<Kind extends AppEvent["kind"]> = Decision<AppTables, AppVolatile, AppEffect, AppReply<Kind>>;

/** core/app/step.ts exports `stepApp` of this type; core/app/volatile.ts exports `emptyAppVolatile()`. */
export type StepApp = <Event extends AppEvent>(
  durable: AppDurable,
  volatile: AppVolatile,
  event: Event,
  at: At,
  limits: Limits,
) => AppDecision<Event["kind"]>;
