// The agent of an enrolled node, put together: store, runtime, fleet, gateway, meter, disks and link; and the order in which
// they start and leave.
import type { Logger } from "pino";
import { AGENT_PROTOCOL, type HeartbeatRequest, type HeartbeatResponse } from "../../contracts/agent-protocol.ts";
import type { DesiredDocument, DesiredInstance } from "../../contracts/desired.ts";
import type { EndpointFile } from "../endpoint-file.ts";
import { EndpointWriter } from "./gateway-child/endpoint-writer.ts";
import { GatewayChild } from "./gateway-child/gateway-child.ts";
import { GatewaySocket } from "./gateway-child/gateway-socket.ts";
import { Heartbeat } from "./link/heartbeat.ts";
import { Poll } from "./link/poll.ts";
import { renewInTime } from "./link/renewal.ts";
import { openFolder, type Opened, type Parts } from "./open-folder.ts";
import type { RunOptions } from "./options.ts";
import { Conditions } from "./report/conditions.ts";
import type { Notices } from "./report/notices.ts";
import type { EngineChange, PlatformEnvironment } from "./runtime/runtime.ts";
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
  /** Things may have been moved while nothing was heard here: the next document says which. */
  #returning = false;
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
    this.#conditions = new Conditions(
      () => parts.clock.nowMs(),
      () => this.#heartbeat?.change(),
    );
  }

  /** What runs is known before anything is started or reported; the document on disk is acted on with no control plane at all. */
  async start(before: EndpointFile | null): Promise<void> {
    const { limits } = this.#options;
    const { runtime, clock, control, identity, isFirst } = this.#parts;
    const log = this.#log;
    const opened = await openFolder(this.#options, this.#parts, {
      log,
      conditions: this.#conditions,
      endpoints: this.#endpoints,
      gateway: this.#gatewaySocket,
      platformEnvironment: (desired) => this.#platformEnvironment(desired),
      changed: () => this.#changed(),
      arrived: () => this.#arrived(),
      tell: () => this.#heartbeat?.change(),
      lapsed: () => this.#opened?.fleet.fenceStrict(),
    });
    this.#opened = opened;
    const { fleet, sampler, notices, contact, arrival, disks, inventory } = opened;
    runtime.onEngine((change) => this.#engineChanged(change));
    await fleet.adopt(before);
    if (this.#stop.signal.aborted) return;
    if (!isFirst) void notices.add("agent_restarted", null, restartedText(fleet.running().length, contact.silentForMs));
    await this.#endpoints.write();
    this.#watchGateway(notices);
    sampler.start(() => (opened.store.desired?.watch.length ?? 0) > 0);
    disks.start();
    inventory.start();
    fleet.look();
    const accept = (document: DesiredDocument) => this.#accept(document);
    this.#poll = new Poll({ control, limits, log, revision: () => this.#revision(), accept });
    this.#heartbeat = new Heartbeat({
      control,
      limits,
      log,
      report: () => this.#report(opened),
      acknowledged: (answer, reported, sentAtMs) => this.#acknowledged(answer, reported, sentAtMs),
      failed: () => arrival.failed(),
    });
    arrival.begin();
    this.#heartbeat.start();
    this.#poll.start();
    void renewInTime(control, identity, clock, log, this.#stop.signal);
    log.info({ runtime: runtime.kind, platform: runtime.platform, revision: this.#revision() }, "the agent runs");
  }

  async leave(): Promise<void> {
    this.#stop.abort();
    const { fleet, sampler, disks, inventory, arrival, strict, meter } = this.#opened ?? {};
    arrival?.leave();
    await strict?.leave();
    await Promise.all([this.#poll?.stop(), this.#heartbeat?.stop(), this.#gateway.leave()]);
    await Promise.all([sampler?.stop(), disks?.stop(), inventory?.stop()]);
    await fleet?.leave();
    await this.#parts.runtime.close();
    await meter?.save().catch(() => undefined);
    this.#gatewaySocket.close();
    this.#log.info("the agent leaves; what runs, runs on");
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

  #watchGateway(notices: Notices): void {
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
    });
  }

  #engineChanged(change: EngineChange): void {
    if (change.kind === "away") {
      this.#log.warn("the Engine is away");
      this.#conditions.set(
        "engine_down",
        "the Docker Engine does not answer: nothing is started or stopped until it does",
      );
      return;
    }
    this.#log.info({ awayMs: change.awayMs }, "the Engine is back");
    this.#conditions.set("engine_down", null);
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

  #report({ fleet, store, meter, sampler, notices, inventory }: Opened): HeartbeatRequest {
    const watch = new Set(store.desired?.watch);
    const watched = fleet.running().flatMap((unit) => {
      const counters = watch.has(unit.app) ? meter.countersOf(unit) : null;
      return counters === null ? [] : [counters];
    });
    return {
      protocol: AGENT_PROTOCOL,
      ackRevision: this.#revision(),
      agentVersion: AGENT_VERSION,
      observed: fleet.observed(),
      used: sampler.used,
      gatewayReady: this.#gateway.ready,
      watched,
      metering: meter.pending(),
      conditions: this.#conditions.list(),
      notices: notices.pending(),
      images: [...inventory.images],
    };
  }

  #acknowledged(answer: HeartbeatResponse, reported: HeartbeatRequest, sentAtMs: number): void {
    if (this.#opened === null) return;
    const { meter, notices, fleet, strict, arrival, contact } = this.#opened;
    // The poll's answer is on its way then, and comes when we are not silent any more.
    if (contact.silentForMs > this.#options.limits.leaseMs) this.#returning = answer.revision > this.#revision();
    const wasCovered = strict.covered;
    strict.answered(sentAtMs, answer.leaseCommitted, answer.revision, this.#revision());
    arrival.answered(answer.revision, this.#revision());
    meter.acknowledge(answer.meteringAck);
    notices.acknowledge(answer.noticeAck);
    if (fleet.reported(reported)) this.#heartbeat?.change();
    if (strict.covered !== wasCovered) fleet.look();
    this.#poll?.knows(answer.revision);
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

function restartedText(running: number, silentForMs: number): string {
  const after = Number.isFinite(silentForMs) ? ` after ${Math.round(silentForMs / 100) / 10} s` : "";
  return `the agent was started again${after}; it found ${running} instances running`;
}
