// One server: power, disk, clocks, Engine, gateway, and the agent's process when it runs.
import type { DesiredDocument } from "../../../contracts/desired.ts";
import type { InstanceId, NodeId } from "../../../contracts/ids.ts";
import type { Fence } from "../../../core/converge/converge.ts";
import type { World } from "../world.ts";
import { Agent } from "./agent.ts";
import { Contact } from "./contact.ts";
import { Counts } from "./counts.ts";
import { Engine, type Container } from "./engine.ts";
import { Gateway, type EndpointFile } from "./gateway.ts";
import type { Truth } from "./ground.ts";
import type { AgentHabits } from "./habits.ts";
import type { ControlLine } from "./link.ts";
import type { Facts } from "./record.ts";

/** What survives a power cut: written with fsync before anything acts on it. */
export class Disk {
  desired: DesiredDocument | null = null;
  readonly fences = new Map<InstanceId, Fence>();
  readonly facts = new Map<string, Facts>();
  endpoints: EndpointFile | null = null;
  bootCount = 0;
  private readonly truth: Truth;

  constructor(truth: Truth) {
    this.truth = truth;
  }

  markStopped(at: { readonly instance: InstanceId; readonly generation: number }): void {
    const known = this.fences.get(at.instance);
    if (known && (known.generation > at.generation || known.stopped)) return;
    this.fences.set(at.instance, { generation: at.generation, stopped: true });
    this.truth.finish(at);
  }
}

export interface MachineSetup {
  readonly world: World;
  readonly truth: Truth;
  readonly id: NodeId;
  readonly name: string;
  readonly failureDomain: string;
  readonly cpuMilli: number;
  readonly line: ControlLine;
  readonly habits: AgentHabits;
}

export class Machine {
  readonly id: NodeId;
  readonly name: string;
  readonly failureDomain: string;
  readonly cpuMilli: number;
  readonly disk: Disk;
  readonly contact: Contact;
  readonly engine: Engine;
  readonly gateway: Gateway;
  /** On disk too: they never fall. */
  readonly counts = new Counts();
  readonly habits: AgentHabits;
  readonly line: ControlLine;
  private readonly truth: Truth;
  agent: Agent | null = null;
  isPowered = true;
  /** An operator said that it is gone for good, whatever runs on it. */
  isDisowned = false;
  /** instance/generation that this node truthfully called ready (invariant 7). */
  readonly saidReady = new Set<string>();
  /** Rises with whatever changes here, so that checks look only at what moved. */
  changes = 0;
  wallOffsetMs = 0;
  private drift: number;
  private bootAtMs: number;
  private power = 0;
  readonly world: World;

  constructor({ world, truth, id, name, failureDomain, cpuMilli, line, habits }: MachineSetup) {
    this.world = world;
    this.id = id;
    this.name = name;
    this.failureDomain = failureDomain;
    this.cpuMilli = cpuMilli;
    this.line = line;
    this.habits = habits;
    this.truth = truth;
    this.disk = new Disk(truth);
    this.engine = new Engine(
      world,
      truth.of(() => this),
    );
    this.gateway = new Gateway(world);
    this.contact = new Contact(this);
    this.drift = 0;
    this.bootAtMs = world.nowMs;
    this.startAgent();
  }

  touch(): void {
    this.changes += 1;
  }

  /** CLOCK_MONOTONIC: from this boot, a little fast or slow. */
  monotonicMs(): number {
    return (this.world.nowMs - this.bootAtMs) * (1 + this.drift);
  }
  wallMs(): number {
    return this.world.nowMs + this.wallOffsetMs;
  }
  driftBy(share: number): void {
    const nowMs = this.monotonicMs();
    this.drift = share;
    this.bootAtMs = this.world.nowMs - nowMs / (1 + share);
  }

  /** 2: no document with a lower revision is ever acted on. */
  accepting(document: DesiredDocument): void {
    const { desired } = this.disk;
    if (desired && document.revision < desired.revision) {
      this.truth.faults.push(`2: ${this.name} acts on revision ${document.revision} after ${desired.revision}`);
    }
  }

  startAgent(): void {
    if (!this.isPowered || this.agent) return;
    this.agent = new Agent(this);
    this.agent.start();
    this.touch();
  }
  stopAgent(): void {
    this.agent?.die();
    this.agent = null;
    this.touch();
  }
  restartAgent(downMs: number): void {
    const { power } = this;
    this.stopAgent();
    this.world.after(downMs, () => {
      if (power === this.power) this.startAgent();
    });
  }

  restartGateway(downMs: number): void {
    const { power } = this;
    this.gateway.stop();
    this.agent?.gatewayChanged();
    const startAgain = (): void => {
      if (power !== this.power || this.gateway.isUp) return;
      // It is the agent's child to start: without one it stays away.
      if (!this.agent) return this.world.after(500, startAgain);
      this.gateway.start(this.disk.endpoints);
      this.agent.gatewayChanged();
      this.touch();
    };
    this.world.after(downMs, startAgain);
  }

  /** All that runs is dead at once; after the power returns the agent finds what is on its disk. */
  losePowerFor(offMs: number): void {
    const power = (this.power += 1);
    this.isPowered = false;
    this.stopAgent();
    this.gateway.stop();
    this.engine.losePower();
    this.contact.forget();
    this.world.after(offMs, () => {
      if (power === this.power) this.returnPower();
    });
  }
  private returnPower(): void {
    const { world } = this;
    const power = (this.power += 1);
    world.happened("power returned");
    world.note(`${this.name} has power again`);
    this.isPowered = true;
    this.bootAtMs = world.nowMs;
    this.startAgent();
    world.after(world.between(50, 500), () => {
      if (power !== this.power || this.gateway.isUp) return;
      this.gateway.start(this.disk.endpoints);
      this.agent?.gatewayChanged();
      this.touch();
    });
  }

  /** Whatever is broken here is mended; but for what an operator took out of service. */
  mend(): void {
    if (this.isDisowned) return;
    if (!this.isPowered) this.returnPower();
    if (this.agent?.isPaused) this.stopAgent();
    this.startAgent();
    this.engine.mend();
  }

  /** What a request through this node's gateway would find. */
  serve(instance: InstanceId, generation: number): ReturnType<Gateway["serve"]> {
    return this.isPowered ? this.gateway.serve(instance, generation, this.engine.containers.values()) : null;
  }

  running(): Container[] {
    return this.engine.list().filter(({ state }) => state === "running");
  }
}
