// The agent of an enrolled node, put together: store, runtime, fleet, gateway, meter, disks and link; and the order in which
// they start and leave.
import type { Logger } from "pino";
import { AGENT_PROTOCOL, type HeartbeatRequest, type HeartbeatResponse } from "../../contracts/agent-protocol.ts";
import type { DesiredDocument } from "../../contracts/desired.ts";
import type { EndpointFile } from "../endpoint-file.ts";
import { EndpointWriter } from "./gateway-child/endpoint-writer.ts";
import { GatewayChild } from "./gateway-child/gateway-child.ts";
import { GatewaySocket } from "./gateway-child/gateway-socket.ts";
import { Refused } from "./link/control.ts";
import { Heartbeat } from "./link/heartbeat.ts";
import { Link } from "./link/link.ts";
import { openFolder, type Opened, type Parts } from "./open-folder.ts";
import type { RunOptions } from "./options.ts";
import { clockTrouble } from "./report/clock-trouble.ts";
import { Conditions } from "./report/conditions.ts";
import { restartedText } from "./report/restarted-text.ts";
import { platformEnvironmentOf } from "./runtime/platform-environment.ts";
import type { EngineChange } from "./runtime/runtime.ts";
import { HOST_CLOCKS, type Moment } from "./state/moment.ts";
import { bootId } from "./state/process-id.ts";
import { AGENT_VERSION } from "./version.ts";

/** The offset of the clocks is written no finer than this, so that its jitter is not a new file at every beat. */
const OFFSET_STEP_MS = 20;
/** A gateway that is being replaced is back by then. */
const GATEWAY_GRACE_MS = 2_000;

export class NodeAgent {
  readonly #options: RunOptions;
  readonly #log: Logger;
  readonly #parts: Parts;
  readonly #gatewaySocket: GatewaySocket;
  readonly #gateway: GatewayChild;
  readonly #endpoints: EndpointWriter;
  readonly #conditions: Conditions;
  readonly #stop = new AbortController();
  #opened: Opened | null = null;
  /** Since when it is known what runs here (monotonic): what was told before says nothing about that. */
  #knownSinceMs = Infinity;
  #gatewayWatched = false;
  /** Things may have been moved while nothing was heard here: the next document says which. */
  #returning = false;
  #tellDocument = false;
  readonly #link: Link;
  #heartbeat: Heartbeat | null = null;

  constructor(options: RunOptions, log: Logger, parts: Parts) {
    this.#options = options;
    this.#log = log;
    this.#parts = parts;
    const { dir, gatewayHost: host, gatewayPort: port, limits } = options;
    this.#gatewaySocket = new GatewaySocket(dir);
    this.#gateway = new GatewayChild({ dir, host, port }, this.#gatewaySocket, limits, log);
    const { control, identity, clock } = parts;
    const accept = (document: DesiredDocument) => this.#accept(document);
    const ports = { control, identity, clock, limits, log, transport: options.transport };
    this.#link = new Link({ ...ports, revision: () => this.#revision(), accept, trust: () => this.#endpoints.write() });
    this.#endpoints = new EndpointWriter(dir, this.#gatewaySocket, () => this.#endpointFile());
    this.#conditions = new Conditions(
      () => parts.clock.nowMs(),
      () => this.#heartbeat?.change(),
    );
  }

  /** What runs is known before anything is started or reported; the document on disk is acted on with no control plane at all. */
  async start(before: EndpointFile | null): Promise<void> {
    const { limits } = this.#options;
    const { runtime, isFirst } = this.#parts;
    const log = this.#log;
    const opened = await openFolder(this.#options, this.#parts, {
      log,
      conditions: this.#conditions,
      endpoints: this.#endpoints,
      gateway: this.#gatewaySocket,
      platformEnvironment: platformEnvironmentOf(this.#parts.enrolled.node, this.#options.region),
      changed: () => this.#changed(),
      arrived: () => this.#arrived(),
      tell: () => this.#heartbeat?.change(),
      lapsed: () => this.#opened?.fleet.fenceStrict(),
    });
    this.#opened = opened;
    opened.upgrader.begin();
    const { fleet, sampler, notices, contact, arrival, disks, inventory, certificate, breakGlass, reach } = opened;
    // Before anything is started, and while an Engine is waited for.
    opened.isolation.start();
    const { silentForMs } = contact;
    const heartbeat = this.#makeHeartbeat(opened);
    runtime.onEngine((change) => this.#engineChanged(change));
    // Nobody waits for an Engine to hear of this node: what is wrong with it is told at once.
    const late = setTimeout(() => {
      if (before?.bootId === bootId()) this.#watchGateway(opened);
      heartbeat.start();
    }, limits.engineAnswerMs);
    await fleet.adopt(before).finally(() => clearTimeout(late));
    if (this.#stop.signal.aborted) return;
    this.#knownSinceMs = HOST_CLOCKS.monotonicMs();
    if (!isFirst) void notices.add("agent_restarted", null, restartedText(fleet.running().length, silentForMs));
    await this.#endpoints.write();
    this.#watchGateway(opened);
    sampler.start(() => new Set(opened.store.desired?.watch));
    disks.start();
    inventory.start();
    certificate.start();
    reach.start();
    breakGlass.start();
    fleet.look();
    arrival.begin();
    heartbeat.start();
    heartbeat.change();
    this.#link.start();
    log.info({ runtime: runtime.kind, platform: runtime.platform, revision: this.#revision() }, "the agent runs");
  }

  #makeHeartbeat(opened: Opened): Heartbeat {
    const { limits } = this.#options;
    this.#heartbeat = new Heartbeat({
      ...{ control: this.#parts.control, socket: this.#link.socket, limits, log: this.#log },
      report: () => this.#report(opened),
      acknowledged: (answer, reported, sentAt) => this.#acknowledged(answer, reported, sentAt),
      failed: (error) => {
        if (error instanceof Refused) this.#parts.systemd?.status(`refused by the control plane: ${error.code}`);
        if (error instanceof Refused && error.code === "node_revoked") opened.dismissal.refused();
        else if (this.#isKnown) opened.arrival.failed();
      },
      everyMs: () => (opened.dismissal.isOver ? limits.removedBeatMs : limits.heartbeatMs),
    });
    return this.#heartbeat;
  }

  async leave(): Promise<void> {
    this.#stop.abort();
    const { fleet, sampler, disks, inventory, certificate, arrival, strict, meter, upgrader } = this.#opened ?? {};
    const others = [this.#opened?.breakGlass.stop(), this.#opened?.reach.stop(), this.#opened?.isolation.stop()];
    upgrader?.stop();
    arrival?.leave();
    await strict?.leave();
    await Promise.all([this.#link.stop(), this.#heartbeat?.stop(), this.#gateway.leave()]);
    await Promise.all([sampler?.stop(), disks?.stop(), inventory?.stop(), certificate?.stop(), ...others]);
    await fleet?.leave();
    await this.#parts.runtime.close();
    await meter?.save().catch(() => undefined);
    this.#gatewaySocket.close();
    this.#log.info("the agent leaves; what runs, runs on");
  }

  get #isKnown(): boolean {
    return this.#knownSinceMs !== Infinity;
  }

  #revision(): number {
    return this.#opened?.store.desired?.revision ?? 0;
  }

  #changed(): void {
    this.#opened?.fleet.look();
    this.#heartbeat?.change();
  }

  /** What may have traffic is another question now. */
  #arrived(): void {
    this.#writeEndpoints();
    this.#opened?.fleet.look();
  }

  #writeEndpoints(): void {
    void this.#endpoints.write().catch((error: unknown) => this.#log.error({ error: String(error) }, "endpoint file"));
  }

  #watchGateway({ notices, upgrader }: Opened): void {
    if (this.#gatewayWatched) return;
    this.#gatewayWatched = true;
    let late: NodeJS.Timeout | undefined;
    const told = "the gateway process does not answer; it is started again";
    const look = () => {
      clearTimeout(late);
      if (this.#gateway.ready) this.#conditions.set("gateway_down", null);
      else late = setTimeout(() => this.#conditions.set("gateway_down", told), GATEWAY_GRACE_MS).unref();
    };
    look();
    this.#gateway.start({
      changed: () => {
        look();
        this.#heartbeat?.change();
      },
      restarted: () => void notices.add("gateway_restarted", null, "the gateway had died and was started again"),
      // Not before this agent has proven itself: what serves is not touched for one that may be taken back.
      mayReplace: () => upgrader.hasHeard,
      replaced: (told) => void notices.add("gateway_replaced", null, told),
      kept: (told) => void notices.add("gateway_kept", null, told, `kept/${AGENT_VERSION}`),
    });
  }

  #engineChanged(change: EngineChange): void {
    if (change.kind === "away") {
      this.#log.warn("the Engine is away");
      const told = "the Docker Engine does not answer: nothing is started or stopped until it does";
      this.#conditions.set("engine_down", told);
      return;
    }
    this.#log.info({ awayMs: change.awayMs }, "the Engine is back");
    this.#conditions.set("engine_down", null);
    void this.#opened?.isolation.look();
    const told = `the Docker Engine was away for ${change.awayMs} ms`;
    void this.#opened?.notices.add("engine_restarted", null, told);
  }

  async #accept(document: DesiredDocument): Promise<void> {
    const opened = this.#opened;
    if (opened === null) return;
    if (document.node !== this.#parts.enrolled.node) {
      this.#log.error({ named: document.node }, "a document for another node is ignored");
      return;
    }
    const { store, fleet, arrival, strict, contact, notices } = opened;
    const returns = !arrival.current || this.#returning || contact.silentForMs > this.#options.limits.leaseMs;
    const stale = returns ? fleet.unnamedBy(document) : [];
    if (await store.accept(document)) {
      for (const { instance, generation } of stale) {
        const told = `generation ${generation} is absent from revision ${document.revision}, the first one heard of since this node was away: stopped`;
        void notices.add("stale_stopped", instance, told, `stale/${instance}/${generation}`);
      }
      this.#writeEndpoints();
    }
    // Not earlier: a heartbeat that is answered while the document is being stored still finds the older one.
    this.#returning = false;
    strict.accepted(document.revision);
    arrival.accepted();
    this.#changed();
  }

  #report(opened: Opened): HeartbeatRequest {
    const { fleet, store, meter, sampler, notices, inventory, upgrader, certificate, reach, isolation } = opened;
    const isKnown = this.#isKnown;
    return {
      protocol: AGENT_PROTOCOL,
      // To acknowledge a document is to say that what it leaves out does not run here but for what is told beside it.
      ackRevision: isKnown ? this.#revision() : 0,
      agentVersion: AGENT_VERSION,
      observed: isKnown ? fleet.observed() : [],
      used: sampler.used,
      gatewayReady: this.#gateway.ready && certificate.ready && reach.ready,
      watched: meter.watched(new Set(store.desired?.watch)),
      metering: meter.pending(),
      conditions: this.#conditions.list(),
      notices: notices.pending(),
      images: [...inventory.images],
      hostPorts: this.#options.hostPorts,
      ...(this.#tellDocument && store.desired ? { document: store.desired } : {}),
      reach: reach.kind,
      ...(isolation.now === null ? {} : { isolation: isolation.now }),
      agent: upgrader.report(this.#gateway.version),
    };
  }

  #acknowledged(answer: HeartbeatResponse, reported: HeartbeatRequest, sentAt: Moment): void {
    if (this.#opened === null) return;
    const { meter, notices, fleet, strict, arrival, contact, dismissal, upgrader, store } = this.#opened;
    const isKnown = sentAt.monotonicMs >= this.#knownSinceMs;
    dismissal.answered();
    this.#conditions.set("clock_wrong", clockTrouble(this.#parts.clock, this.#options.limits.clockWrongMs));
    this.#parts.systemd?.status("heard by the control plane");
    if (answer.tellDocument && !this.#tellDocument) this.#heartbeat?.change();
    this.#tellDocument = answer.tellDocument === true;
    arrival.hear();
    this.#opened.breakGlass.heard(answer);
    // The poll's answer is on its way then, and comes when we are not silent any more.
    if (contact.silentForMs > this.#options.limits.leaseMs) this.#returning = answer.revision > this.#revision();
    const wasCovered = strict.covered;
    // A lease that ran out before it was known whether something strict runs here is not taken up: that has to end.
    const leaseCommitted = answer.leaseCommitted && (isKnown || wasCovered);
    strict.answered(sentAt, leaseCommitted, answer.revision, this.#revision());
    if (isKnown) arrival.answered(answer.revision, this.#revision());
    meter.acknowledge(answer.meteringAck);
    notices.acknowledge(answer.noticeAck);
    if (fleet.reported(reported)) this.#heartbeat?.change();
    if (strict.covered !== wasCovered) fleet.look();
    this.#link.knows(answer.revision);
    upgrader.heard();
    upgrader.consider(store.desired?.agent);
    // The clock may have moved, or been heard for the first time.
    this.#writeEndpoints();
  }

  #endpointFile(): EndpointFile {
    const { identity, clock, enrolled } = this.#parts;
    return {
      node: enrolled.node,
      ticketKeys: identity.enrolled?.ticketKeys ?? enrolled.ticketKeys,
      controlMinusMonotonicMs: Math.round(clock.offsetMs / OFFSET_STEP_MS) * OFFSET_STEP_MS,
      bootId: bootId(),
      routes: this.#opened?.store.desired?.routes ?? {},
      instances: this.#opened?.fleet.endpoints() ?? [],
    };
  }
}
