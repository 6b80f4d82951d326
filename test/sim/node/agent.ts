// The agent's process: adopts what runs, keeps the document, and does what the shipped plan of core/converge says.
import type { HeartbeatRequest, HeartbeatResponse } from "../../../contracts/agent-protocol.ts";
import type { DesiredDocument, DesiredInstance } from "../../../contracts/desired.ts";
import type { InstanceId } from "../../../contracts/ids.ts";
import type { Action } from "../../../core/converge/converge.ts";
import { assertNever } from "../../../core/step.ts";
import { SIM_AGENT_LIMITS } from "../limits.ts";
import type { Container } from "./engine.ts";
import type { EndpointFile } from "./gateway.ts";
import { Link } from "./link.ts";
import type { Machine } from "./machine.ts";
import { Supervised, type SupervisePorts } from "./supervised.ts";

export class Agent {
  readonly boot: string;
  private readonly machine: Machine;
  private readonly instances = new Map<InstanceId, Supervised>();
  private readonly link: Link;
  private readonly ports: SupervisePorts;
  private isAlive = true;
  private pausedUntilMs = 0;
  private isLookDue = false;
  private hasArrived = false;
  private wakeOrder = 0;
  private isWriting = false;
  private readonly waitingWrites: (() => void)[] = [];
  /** The document that the gateway's file was last made of. */
  private writtenFor: DesiredDocument | null = null;
  private seqs = { heartbeat: 0, poll: 0 };
  /** The control plane's time minus this machine's monotonic clock, for what is reported. */
  private offsetMs: number;
  private heardAtMs: number;

  constructor(machine: Machine) {
    const { world, disk, engine, habits } = machine;
    this.machine = machine;
    disk.bootCount += 1;
    this.boot = `boot-${machine.id.slice(-8)}-${disk.bootCount}`;
    this.offsetMs = machine.wallMs() - machine.monotonicMs();
    this.heardAtMs = machine.monotonicMs();
    // Plans are made by the monotonic clock; only what is reported is in the control plane's time.
    const isMonotonic = habits.clock === "monotonic";
    const nowMs = (): number => machine.monotonicMs() + (isMonotonic ? 0 : this.offsetMs);
    const shared = {
      limits: SIM_AGENT_LIMITS,
      after: (delayMs: number, act: () => void) => world.after(delayMs, this.guard(act)),
      guard: <Args extends unknown[]>(act: (...args: Args) => void) => this.guard(act),
    };
    this.ports = {
      ...shared,
      engine,
      disk,
      nowMs,
      controlMs: (localMs) => localMs + (isMonotonic ? this.offsetMs : 0),
      isCovered: () => machine.contact.isCovered(),
      writeEndpoints: (written) => this.writeEndpoints(written),
      changed: () => this.changed(),
      random: (low, high) => world.between(low, high),
      worldMs: () => world.nowMs,
    };
    this.link = new Link({
      ...shared,
      line: machine.line,
      proofOf: (lane) => ({ node: machine.id, jkt: "jkt", boot: this.boot, lane, seq: (this.seqs[lane] += 1) }),
      report: () => this.report(),
      acknowledged: (answer, request, sentAtMs) => this.acknowledged(answer, request, sentAtMs),
      accept: (document, stored) => this.accept(document, stored),
      revision: () => disk.desired?.revision ?? 0,
      monotonicMs: () => machine.monotonicMs(),
      between: (low, high) => world.between(low, high),
    });
  }

  start(): void {
    const { world, engine, habits } = this.machine;
    engine.onExit = this.guard((container, life, exit) => {
      this.instances.get(container.instance)?.exited(container, life, exit);
    });
    // A broken agent knows nothing of what runs, nor by which name it would find it.
    if (!habits.looksFirst) engine.containers.clear();
    const whenListed = this.guard(() => {
      if (!engine.isUpNow()) return world.after(200, whenListed);
      this.adopt();
      this.writeEndpoints(() => undefined);
      this.look();
      this.link.start();
      this.ports.after(this.ports.limits.firstAnswerMs, () => this.arrived());
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
  hasWrittenFor(document: DesiredDocument | null): boolean {
    return this.writtenFor === document;
  }
  get isPaused(): boolean {
    return this.pausedUntilMs > this.machine.world.nowMs;
  }
  gatewayChanged(): void {
    this.guard(() => this.link.change())();
  }
  healthChanged(container: Container): void {
    this.instances.get(container.instance)?.look(container);
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

  private adopt(): void {
    const { engine, disk } = this.machine;
    const before = disk.endpoints;
    const found = engine.list().sort((a, b) => b.generation - a.generation);
    for (const container of found) {
      if (this.instances.has(container.instance)) {
        engine.stop(container, "stopped", () => undefined);
        continue;
      }
      const wanted = disk.desired?.instances.find(({ instance }) => instance === container.instance);
      const desired = wanted?.generation === container.generation ? wanted : null;
      const supervised = new Supervised(this.ports, container, desired);
      this.instances.set(container.instance, supervised);
      const row = before?.rows.find((each) => each.instance === container.instance);
      const served = row?.generation === container.generation && (row.state === "serving" || row.state === "draining");
      supervised.adopt(container, desired !== null && served);
    }
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
          this.changed();
          this.writeEndpoints(() => undefined);
        }
        stored();
      }),
    );
  }

  private report(): HeartbeatRequest {
    const { disk, gateway, saidReady } = this.machine;
    const observed = [...this.instances.values()].map((instance) => instance.observed());
    for (const { instance, generation, status } of observed) {
      if (status.kind === "ready") saidReady.add(`${instance}/${generation}`);
    }
    return {
      protocol: 1,
      ackRevision: disk.desired?.revision ?? 0,
      agentVersion: "sim",
      observed,
      used: { cpuMilli: 0, memoryBytes: 0, diskBytes: 0 },
      gatewayReady: gateway.isUp,
      watched: [],
      metering: [],
      conditions: [],
      notices: [],
      images: [],
    };
  }

  private acknowledged(answer: HeartbeatResponse, request: HeartbeatRequest, sentAtMs: number): void {
    const nowMs = this.machine.monotonicMs();
    this.heardAtMs = nowMs;
    this.heardOfLease(sentAtMs, answer.leaseCommitted);
    this.arrived();
    this.offsetMs = answer.nowMs - (sentAtMs + nowMs) / 2;
    let hasMore = false;
    for (const observed of request.observed) {
      if (this.instances.get(observed.instance)?.reported(observed)) hasMore = true;
    }
    if (hasMore) this.link.change();
    this.link.knows(answer.revision);
    this.writeEndpoints(() => undefined);
  }

  /** The beginning and the end of a lease are events of their own. */
  private heardOfLease(sentAtMs: number, isCommitted: boolean): void {
    const { contact } = this.machine;
    const wasCovered = contact.isCovered();
    contact.answered(sentAtMs, isCommitted);
    if (!isCommitted) return;
    if (!wasCovered) this.look();
    this.ports.after(contact.coveredForMs() + 1, () => this.look());
  }

  private changed(): void {
    this.machine.touch();
    this.look();
    this.link.change();
  }

  /** The plan is made anew, once for all who say so now. */
  private look(): void {
    if (this.isLookDue) return;
    this.isLookDue = true;
    this.ports.after(0, () => {
      this.isLookDue = false;
      this.act();
    });
  }

  /** The first heartbeat was answered, or took too long: from here on the document on disk is acted on. */
  private arrived(): void {
    if (this.hasArrived) return;
    this.hasArrived = true;
    this.look();
  }

  private act(): void {
    const { disk, habits } = this.machine;
    const desired = disk.desired;
    if (desired === null || !this.hasArrived) return;
    for (const wanted of desired.instances) {
      const instance = this.instances.get(wanted.instance);
      if (instance?.generation === wanted.generation) instance.desired = wanted;
    }
    const local = [...this.instances.values()].map((instance) => instance.local());
    const nowMs = this.ports.nowMs();
    const { limits } = this.ports;
    const covered = this.machine.contact.isCovered();
    const plan = habits.converge({ desired, local, fences: disk.fences, nowMs, limits, covered });
    for (const action of plan.actions) {
      const { kind, instance, reason } = action;
      if (kind !== "withdraw") this.machine.world.note(`${this.machine.name}: ${kind} ${instance}: ${reason}`);
      this.execute(action, desired);
    }
    const order = (this.wakeOrder += 1);
    if (plan.wakeAtMs === null) return;
    this.ports.after(Math.max(1, plan.wakeAtMs - nowMs), () => {
      if (order === this.wakeOrder) this.look();
    });
  }

  private execute(action: Action, desired: DesiredDocument): void {
    const instance = this.instances.get(action.instance);
    switch (action.kind) {
      case "withdraw":
        return this.writeEndpoints(() => undefined);
      case "stop":
        return instance?.stop();
      case "fence":
        this.machine.world.happened("strict singleton fenced");
        return instance?.stop("fenced");
      case "start": {
        const wanted = desired.instances.find((at) => at.instance === action.instance);
        if (!wanted) return;
        const started = new Supervised(this.ports, wanted, wanted);
        this.instances.set(wanted.instance, started);
        return started.start(false);
      }
      case "restart":
        return instance?.start(true);
      case "give_up":
        return instance?.giveUp();
      case "forget":
        this.instances.delete(action.instance);
        return this.writeEndpoints(() => undefined);
      default:
        return assertNever(action);
    }
  }

  /** Writes that come together become one; each hears when a file written after its call is in place. */
  private writeEndpoints(written: () => void): void {
    this.waitingWrites.push(written);
    if (!this.isWriting) this.writeOnce();
  }
  private writeOnce(): void {
    const { world, disk, gateway } = this.machine;
    const told = this.waitingWrites.splice(0);
    this.isWriting = true;
    const file = this.endpointFile();
    const madeOf = disk.desired;
    world.after(
      world.between(1, 3),
      this.guard(() => {
        disk.endpoints = file;
        gateway.load(file);
        this.writtenFor = madeOf;
        this.machine.touch();
        this.isWriting = false;
        for (const tell of told) tell();
        if (!this.isWriting && this.waitingWrites.length > 0) this.writeOnce();
      }),
    );
  }

  private endpointFile(): EndpointFile {
    const { disk, habits } = this.machine;
    const intents = new Map<string, DesiredInstance["intent"]>();
    for (const { instance, generation, intent } of disk.desired?.instances ?? []) {
      intents.set(`${instance}/${generation}`, intent);
    }
    const rows = [...this.instances.values()].flatMap((instance) => {
      const intent = intents.get(`${instance.instance}/${instance.generation}`) ?? "absent";
      return instance.endpoint(habits.endpointState(instance.state, intent));
    });
    return { routes: disk.desired?.routes ?? {}, rows };
  }

  /** Only a broken agent has this: it takes silence for an order. */
  private watchSilence(): void {
    this.ports.after(1_000, () => {
      const silentMs = this.machine.monotonicMs() - this.heardAtMs;
      if (silentMs > this.machine.habits.stopsAfterSilenceMs) {
        for (const instance of this.instances.values()) instance.stop();
      }
      this.watchSilence();
    });
  }
}
