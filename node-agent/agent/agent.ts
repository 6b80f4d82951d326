// The node's agent, put together: link, store, runtime, fleet, gateway and meter; and the order in which they start and leave.
import { rm, mkdir } from "node:fs/promises";
import { join } from "node:path";
import type { Logger } from "pino";
import { AGENT_PROTOCOL, type HeartbeatRequest, type HeartbeatResponse } from "../../contracts/agent-protocol.ts";
import type { DesiredDocument, DesiredInstance } from "../../contracts/desired.ts";
import type { EndpointFile } from "../endpoint-file.ts";
import { EndpointWriter, readEndpoints } from "./gateway-child/endpoint-writer.ts";
import { GatewayChild } from "./gateway-child/gateway-child.ts";
import { GatewaySocket } from "./gateway-child/gateway-socket.ts";
import { Asks } from "./link/asks.ts";
import { Control } from "./link/control.ts";
import { ControlClock } from "./link/control-clock.ts";
import { enrol } from "./link/enrol.ts";
import { Heartbeat } from "./link/heartbeat.ts";
import { closeConnections } from "./link/http.ts";
import { Poll } from "./link/poll.ts";
import { renewInTime } from "./link/renewal.ts";
import { LogStore } from "./logs/log-store.ts";
import { Meter } from "./metering/meter.ts";
import { Sampler } from "./metering/sampler.ts";
import type { RunOptions } from "./options.ts";
import { Bundles } from "./runtime/bundles.ts";
import { chooseRuntime } from "./runtime/choose.ts";
import type { PlatformEnvironment, Runtime } from "./runtime/runtime.ts";
import { DesiredStore } from "./state/desired-store.ts";
import { type Enrolled, Identity } from "./state/identity.ts";
import { bootId, claimPidFile } from "./state/process-id.ts";
import { Fleet } from "./supervise/fleet.ts";
import { StartQueue } from "./supervise/ports.ts";
import { AGENT_VERSION } from "./version.ts";

export const AGENT_PID_FILE = "agent.pid";
/** The offset of the clocks is written no finer than this, so that its jitter is not a new file at every beat. */
const OFFSET_STEP_MS = 20;

/** Runs until the signal is aborted; containers, processes and the gateway run on then. */
export async function runAgent(options: RunOptions, log: Logger, signal: AbortSignal): Promise<void> {
  const { dir, limits } = options;
  await mkdir(dir, { recursive: true, mode: 0o700 });
  await claimPidFile(dir, AGENT_PID_FILE);
  const identity = await Identity.open(dir);
  const before = await readEndpoints(dir);
  const clock = new ControlClock(before?.bootId === bootId() ? before.controlMinusMonotonicMs : undefined);
  const control = new Control(options.control, identity, clock);
  const choice = await chooseRuntime(options.runtime);
  if (choice.kind === "process") log.warn("the process runtime does not isolate: run trusted code only");
  const enrolled = identity.enrolled ?? (await firstEnrolment(options, control, identity, choice, log, signal));
  const nodeLog = log.child({ node: enrolled.node });
  const asks = new Asks(control, identity.keys, limits);
  const bundles = new Bundles(dir, limits, (hash, instance, until) => asks.bundle(hash, instance, until));
  const runtime = choice.open({ dir, node: enrolled.node, limits, bundles });
  const agent = new NodeAgent(options, nodeLog, { identity, clock, control, asks, runtime, bundles, enrolled });
  try {
    await agent.start(before);
    await new Promise<void>((resolve) => {
      if (signal.aborted) resolve();
      else signal.addEventListener("abort", () => resolve());
    });
  } finally {
    await agent.leave();
    await rm(join(dir, AGENT_PID_FILE), { force: true });
    closeConnections();
  }
}

async function firstEnrolment(
  options: RunOptions,
  control: Control,
  identity: Identity,
  choice: { kind: Runtime["kind"]; platform: string },
  log: Logger,
  signal: AbortSignal,
): Promise<Enrolled> {
  const { token, name, region, failureDomain, labels, gatewayUrl, capacity } = options;
  if (token === null) throw new Error("this folder is not enrolled: --token (or BERTH_JOIN_TOKEN) is needed once");
  const facts = { token, name, region, failureDomain, labels, gatewayUrl, capacity };
  const about = { runtime: choice.kind, platform: choice.platform, agentVersion: AGENT_VERSION };
  const enrolled = await enrol(control, identity, { ...facts, ...about }, log, signal);
  log.info({ node: enrolled.node, cell: enrolled.cell }, "enrolled");
  return enrolled;
}

interface Parts {
  readonly identity: Identity;
  readonly clock: ControlClock;
  readonly control: Control;
  readonly asks: Asks;
  readonly runtime: Runtime;
  readonly bundles: Bundles;
  readonly enrolled: Enrolled;
}

class NodeAgent {
  readonly #options: RunOptions;
  readonly #log: Logger;
  readonly #parts: Parts;
  readonly #gatewaySocket: GatewaySocket;
  readonly #gateway: GatewayChild;
  readonly #endpoints: EndpointWriter;
  readonly #stop = new AbortController();
  #store!: DesiredStore;
  #meter!: Meter;
  #fleet!: Fleet;
  #sampler!: Sampler;
  #poll: Poll | null = null;
  #heartbeat: Heartbeat | null = null;

  constructor(options: RunOptions, log: Logger, parts: Parts) {
    this.#options = options;
    this.#log = log;
    this.#parts = parts;
    const { dir, gatewayHost: host, gatewayPort: port, limits } = options;
    this.#gatewaySocket = new GatewaySocket(dir);
    this.#gateway = new GatewayChild({ dir, host, port }, this.#gatewaySocket, limits, log);
    this.#endpoints = new EndpointWriter(dir, this.#gatewaySocket, () => this.#endpointFile());
  }

  /** What runs is known before anything is started or reported; the document on disk is acted on with no control plane at all. */
  async start(before: EndpointFile | null): Promise<void> {
    const { dir, limits } = this.#options;
    const { runtime, asks, clock, control } = this.#parts;
    const log = this.#log;
    this.#store = await DesiredStore.open(dir, limits.fencesMax);
    this.#meter = await Meter.open(dir, limits);
    this.#fleet = new Fleet({
      runtime,
      asks,
      clock,
      limits,
      log,
      logs: new LogStore(dir, limits),
      meter: this.#meter,
      store: this.#store,
      endpoints: this.#endpoints,
      gateway: this.#gatewaySocket,
      starts: new StartQueue(limits.startsAtOnceMax),
      platformEnvironment: (desired) => this.#platformEnvironment(desired),
      changed: () => this.#changed(),
    });
    await this.#fleet.adopt(before);
    await this.#endpoints.write();
    this.#gateway.start(() => this.#heartbeat?.change());
    this.#sampler = new Sampler(runtime, this.#meter, this.#gatewaySocket, () => this.#fleet.running(), clock, limits);
    this.#sampler.start(() => (this.#store.desired?.watch.length ?? 0) > 0);
    this.#fleet.look();
    const accept = (document: DesiredDocument) => this.#accept(document);
    this.#poll = new Poll({ control, limits, log, revision: () => this.#revision(), accept });
    this.#heartbeat = new Heartbeat({
      control,
      limits,
      log,
      report: () => this.#report(),
      acknowledged: (answer, reported) => this.#acknowledged(answer, reported),
    });
    this.#heartbeat.start();
    this.#poll.start();
    void renewInTime(control, this.#parts.identity, clock, log, this.#stop.signal);
    log.info({ runtime: runtime.kind, platform: runtime.platform, revision: this.#revision() }, "the agent runs");
  }

  async leave(): Promise<void> {
    this.#stop.abort();
    await Promise.all([this.#poll?.stop(), this.#heartbeat?.stop(), this.#gateway.leave(), this.#sampler?.stop()]);
    await this.#fleet?.leave();
    await this.#parts.runtime.close();
    await this.#meter?.save().catch(() => undefined);
    this.#gatewaySocket.close();
    this.#log.info("the agent leaves; what runs, runs on");
  }

  #revision(): number {
    return this.#store.desired?.revision ?? 0;
  }

  #changed(): void {
    this.#fleet.look();
    this.#heartbeat?.change();
  }

  async #accept(document: DesiredDocument): Promise<void> {
    if (document.node !== this.#parts.enrolled.node) {
      this.#log.error({ named: document.node }, "a document for another node is ignored");
      return;
    }
    if (!(await this.#store.accept(document))) return;
    this.#changed();
    void this.#endpoints.write().catch((error: unknown) => this.#log.error({ error: String(error) }, "endpoint file"));
    const hashes = document.instances.flatMap(({ source }) => (source.kind === "bundle" ? [source.hash] : []));
    await this.#parts.bundles.keepOnly(new Set(hashes));
  }

  #report(): HeartbeatRequest {
    const watch = new Set(this.#store.desired?.watch);
    const watched = this.#fleet.running().flatMap((unit) => {
      const counters = watch.has(unit.app) ? this.#meter.countersOf(unit) : null;
      return counters === null ? [] : [counters];
    });
    return {
      protocol: AGENT_PROTOCOL,
      ackRevision: this.#revision(),
      agentVersion: AGENT_VERSION,
      observed: this.#fleet.observed(),
      used: this.#sampler.used,
      gatewayReady: this.#gateway.ready,
      watched,
      metering: this.#meter.pending(),
      conditions: [],
      notices: [],
      images: [],
    };
  }

  #acknowledged(answer: HeartbeatResponse, reported: HeartbeatRequest): void {
    this.#meter.acknowledge(answer.meteringAck);
    if (this.#fleet.reported(reported)) this.#heartbeat?.change();
    this.#poll?.knows(answer.revision);
    // The clock may have moved, or been heard for the first time.
    void this.#endpoints.write().catch((error: unknown) => this.#log.error({ error: String(error) }, "endpoint file"));
  }

  #endpointFile(): EndpointFile {
    const { identity, clock, enrolled } = this.#parts;
    return {
      node: enrolled.node,
      ticketKeys: identity.enrolled?.ticketKeys ?? enrolled.ticketKeys,
      controlMinusMonotonicMs: Math.round(clock.offsetMs / OFFSET_STEP_MS) * OFFSET_STEP_MS,
      bootId: bootId(),
      routes: this.#store.desired?.routes ?? {},
      instances: this.#fleet.endpoints(),
    };
  }

  #platformEnvironment(desired: DesiredInstance): PlatformEnvironment {
    return {
      BERTH_APP: desired.appName,
      BERTH_RELEASE: desired.release,
      BERTH_VERSION: String(desired.version),
      BERTH_INSTANCE: desired.instance,
      BERTH_NODE: this.#parts.enrolled.node,
      BERTH_REGION: this.#options.region,
    };
  }
}
