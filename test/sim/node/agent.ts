// The agent's process on a server: its clock, its line to the control plane, and the document on disk that its fleet follows.
import { AGENT_PROTOCOL, type HeartbeatRequest, type HeartbeatResponse } from "../../../contracts/agent-protocol.ts";
import type { DesiredDocument } from "../../../contracts/desired.ts";
import { SIM_AGENT_LIMITS } from "../limits.ts";
import { Arrival } from "./arrival.ts";
import { EndpointWriter } from "./endpoint-writer.ts";
import type { Container } from "./engine.ts";
import { Fleet } from "./fleet.ts";
import { Link } from "./link.ts";
import type { Machine } from "./machine.ts";

export class Agent {
  readonly boot: string;
  private readonly machine: Machine;
  private readonly fleet: Fleet;
  private readonly link: Link;
  private readonly endpoints: EndpointWriter;
  private readonly arrival: Arrival;
  private isAlive = true;
  private pausedUntilMs = 0;
  private seqs = { heartbeat: 0, poll: 0 };
  /** The control plane's time minus this machine's monotonic clock; from the wall clock until it is heard. */
  private offsetMs: number;
  private newestRevision = 0;
  /** Whether our document is known to be the newest, under the present lease. */
  private isCurrent = false;

  constructor(machine: Machine) {
    const { world, disk, engine, contact } = machine;
    this.machine = machine;
    disk.bootCount += 1;
    this.boot = `boot-${machine.id.slice(-8)}-${disk.bootCount}`;
    this.offsetMs = machine.wallMs() - machine.monotonicMs();
    const shared = {
      limits: SIM_AGENT_LIMITS,
      after: (delayMs: number, act: () => void) => world.after(delayMs, this.guard(act)),
      guard: <Args extends unknown[]>(act: (...args: Args) => void) => this.guard(act),
    };
    const guardEmpty = (act: () => void): (() => void) => this.guard(act);
    this.endpoints = new EndpointWriter(machine, guardEmpty, () => ({
      routes: disk.desired?.routes ?? {},
      rows: this.fleet.endpoints(),
    }));
    this.arrival = new Arrival(contact.silentForMs(), () => this.changed());
    const ports = {
      ...shared,
      engine,
      disk,
      nowMs: () => Math.round(machine.monotonicMs() + this.offsetMs),
      isAdmitted: () => contact.isCovered() && (this.isCurrent || !machine.habits.isFencing),
      writeEndpoints: (written: () => void) => this.endpoints.write(written),
      changed: () => this.changed(),
      random: (low: number, high: number) => world.between(low, high),
      fenced: () => world.happened("strict singleton fenced"),
      worldMs: () => world.nowMs,
    };
    this.fleet = new Fleet(machine, ports, this.arrival);
    this.link = new Link({
      ...shared,
      line: machine.line,
      proofOf: (lane) => ({ node: machine.id, jkt: "jkt", boot: this.boot, lane, seq: (this.seqs[lane] += 1) }),
      report: () => this.report(),
      acknowledged: (answer, request, sentAtMs) => this.acknowledged(answer, request, sentAtMs),
      failed: () => this.arrival.failed(),
      accept: (document, stored) => this.accept(document, stored),
      revision: () => disk.desired?.revision ?? 0,
      monotonicMs: () => machine.monotonicMs(),
      between: (low, high) => world.between(low, high),
    });
  }

  start(): void {
    const { world, engine, habits } = this.machine;
    engine.onExit = this.guard((container, life, exit) => this.fleet.exited(container, life, exit));
    // A broken agent knows nothing of what runs, nor by which name it would find it.
    if (!habits.looksFirst) engine.containers.clear();
    const whenListed = this.guard(() => {
      if (!engine.isUpNow()) return world.after(200, whenListed);
      this.fleet.adopt();
      this.endpoints.write(() => undefined);
      this.fleet.look();
      this.arrival.begin((delayMs, act) => this.link.later(delayMs, act));
      this.link.start();
      if (Number.isFinite(habits.stopsAfterSilenceMs)) this.watchSilence();
    });
    world.after(world.between(5, 300), whenListed);
  }

  die(): void {
    this.isAlive = false;
  }
  pauseFor(ms: number): void {
    this.pausedUntilMs = this.machine.world.nowMs + ms;
  }
  get isPaused(): boolean {
    return this.pausedUntilMs > this.machine.world.nowMs;
  }
  hasWrittenFor(document: DesiredDocument | null): boolean {
    return this.endpoints.writtenFor === document;
  }
  gatewayChanged(): void {
    this.guard(() => this.link.change())();
  }
  healthChanged(container: Container): void {
    this.guard(() => this.fleet.healthChanged(container))();
  }

  /** What was to happen in a life that is over does not; in a pause it waits. */
  guard<Args extends unknown[]>(act: (...args: Args) => void): (...args: Args) => void {
    const guarded = (...args: Args): void => {
      if (!this.isAlive) return;
      const waitMs = this.pausedUntilMs - this.machine.world.nowMs;
      if (waitMs > 0) this.machine.world.after(waitMs, () => guarded(...args));
      else act(...args);
    };
    return guarded;
  }

  private accept(document: DesiredDocument, stored: () => void): void {
    const { world, disk, habits } = this.machine;
    world.after(
      world.between(1, 4),
      this.guard(() => {
        if (habits.isNewer(disk.desired, document)) {
          this.machine.accepting(document);
          for (const { instance, generation } of document.instances) {
            const known = disk.fences.get(instance);
            if (!known || known.generation < generation) disk.fences.set(instance, { generation, stopped: false });
          }
          disk.desired = document;
          if (document.revision >= this.newestRevision && this.machine.contact.isCovered()) this.isCurrent = true;
          this.arrival.accepted();
          this.changed();
          this.endpoints.write(() => undefined);
        }
        stored();
      }),
    );
  }

  private report(): HeartbeatRequest {
    const { disk, gateway, saidReady } = this.machine;
    const observed = this.fleet.observed();
    for (const { instance, generation, status } of observed) {
      if (status.kind === "ready") saidReady.add(`${instance}/${generation}`);
    }
    return {
      protocol: AGENT_PROTOCOL,
      ackRevision: disk.desired?.revision ?? 0,
      agentVersion: "sim",
      observed,
      used: { cpuMilli: 0, memoryBytes: 0, diskBytes: 0 },
      gatewayReady: gateway.isUp,
      watched: this.machine.counts.of(disk.desired),
      metering: [],
      conditions: [],
      notices: [],
      images: [],
    };
  }

  private acknowledged(answer: HeartbeatResponse, request: HeartbeatRequest, sentAtMs: number): void {
    const { machine } = this;
    const ours = machine.disk.desired?.revision ?? 0;
    this.offsetMs = answer.nowMs - (sentAtMs + machine.monotonicMs()) / 2;
    this.heardOfLease(sentAtMs, answer, ours);
    this.arrival.answered(answer.revision, ours);
    if (this.fleet.reported(request)) this.link.change();
    this.link.knows(answer.revision);
    this.endpoints.write(() => undefined);
  }

  /** The beginning and the end of a lease are events of their own. */
  private heardOfLease(sentAtMs: number, { leaseCommitted, revision }: HeartbeatResponse, ours: number): void {
    const { contact } = this.machine;
    const wasCovered = contact.isCovered();
    // A lapse that no timer told of in time (this process was paused) counts all the same: it may be replaced by now.
    if (!wasCovered) this.lapsed();
    this.newestRevision = Math.max(this.newestRevision, revision);
    this.isCurrent = ours >= this.newestRevision && (leaseCommitted || this.isCurrent);
    contact.answered(sentAtMs, leaseCommitted);
    if (!leaseCommitted) return;
    if (!wasCovered) this.fleet.look();
    this.link.later(contact.coveredForMs() + 1, () => {
      if (!contact.isCovered()) this.lapsed();
    });
  }
  private lapsed(): void {
    this.isCurrent = false;
    this.fleet.fenceStrict();
  }

  private changed(): void {
    this.machine.touch();
    this.fleet.look();
    this.link.change();
  }

  /** Only a broken agent has this: it takes silence for an order. */
  private watchSilence(): void {
    this.link.later(1_000, () => {
      if (this.machine.contact.silentForMs() > this.machine.habits.stopsAfterSilenceMs) this.fleet.stopAll();
      this.watchSilence();
    });
  }
}
