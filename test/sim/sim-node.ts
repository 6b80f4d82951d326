// A server with a simple agent: takes documents by revision, starts and stops instances, beats; can crash, be cut off, restart.
import type { HeartbeatResponse, ObservedInstance, ObservedStatus } from "../../contracts/agent-protocol.ts";
import type { DesiredDocument, DesiredInstance } from "../../contracts/desired.ts";
import type { InstanceFailure, Result } from "../../contracts/failures.ts";
import type { AppId, InstanceId, NodeId } from "../../contracts/ids.ts";
import type { CellInputs } from "../../core/cell/types.ts";
import type { World } from "./world.ts";

/** How a release's instances behave; carried in its command. */
export type Behaviour = "good" | "slow" | "crash" | "never" | "pullfail";

interface Running {
  readonly desired: DesiredInstance;
  status: ObservedStatus;
  sinceMs: number;
  restarts: number;
  /** Rises with each start, so that timers of an older life do nothing. */
  life: number;
}

export interface NodeLink {
  heartbeat(input: CellInputs["heartbeat"], answered: (result: Result<HeartbeatResponse>) => void): void;
  fetchDocument(answered: (document: DesiredDocument | null) => void): void;
}

const failure = (code: InstanceFailure["code"], message: string): InstanceFailure => ({
  code,
  message,
  exitCode: code === "exited" ? 1 : null,
  signal: null,
  logTail: [],
});

export class SimNode {
  powered = true;
  agentUp = true;
  /** Cut off from the control plane, both ways. */
  cutOff = false;
  gatewayUp = true;
  document: DesiredDocument | null = null;
  readonly running = new Map<InstanceId, Running>();
  /** instance/generation that this node truthfully called ready (invariant 7), and the routes its gateway knows. */
  readonly saidReady = new Set<string>();
  private boot = "";
  private seq = 0;
  private bootCount = 0;
  private readonly world: World;
  readonly id: NodeId;
  private readonly link: NodeLink;

  constructor(world: World, id: NodeId, link: NodeLink) {
    this.world = world;
    this.id = id;
    this.link = link;
    this.startAgent();
    this.beatLater();
  }

  get reachable(): boolean {
    return this.powered && this.agentUp && !this.cutOff;
  }

  /** From the poll; what is not newer is ignored (invariant 2). */
  offer(document: DesiredDocument): void {
    if (!this.reachable || document.revision <= (this.document?.revision ?? 0)) return;
    this.document = document;
    this.converge();
  }

  private converge(): void {
    const wanted = new Map(this.document?.instances.map((desired) => [desired.instance, desired]));
    for (const [id, instance] of this.running) if (!wanted.has(id)) this.stop(id, instance);
    for (const [id, desired] of wanted) {
      if (this.running.has(id)) continue;
      this.running.set(id, { desired, status: { kind: "pending" }, sinceMs: this.world.nowMs, restarts: 0, life: 0 });
      this.start(id);
    }
    this.beatSoon();
  }

  private stop(id: InstanceId, instance: Running): void {
    if (instance.status.kind === "stopping") return;
    instance.life += 1;
    this.set(instance, { kind: "stopping" });
    this.world.after(this.world.between(50, 800), () => {
      if (this.running.get(id) === instance && this.powered) {
        this.running.delete(id);
        this.beatSoon();
      }
    });
  }

  private start(id: InstanceId): void {
    const instance = this.running.get(id);
    if (!instance || instance.status.kind === "stopping") return;
    const life = (instance.life += 1);
    const behaviour = (instance.desired.command?.[0] ?? "good") as Behaviour;
    this.set(instance, { kind: "pulling", doneBytes: 0, totalBytes: 100 });
    this.later(instance, life, this.world.between(10, 400), () => {
      if (behaviour === "pullfail") {
        return this.set(instance, { kind: "failed", failure: failure("image_not_found", "no such image") });
      }
      this.set(instance, { kind: "starting" });
      if (behaviour === "never") return;
      const delay = behaviour === "slow" ? this.world.between(2_000, 6_000) : this.world.between(20, 600);
      this.later(instance, life, delay, () => {
        if (behaviour === "crash") this.crash(id, instance);
        else this.set(instance, { kind: "ready" });
      });
    });
  }

  /** Also a fault from outside: any running instance may end. */
  crash(id: InstanceId, instance: Running): void {
    instance.life += 1;
    const retryAtMs = this.world.nowMs + Math.min(4_000, 250 * 2 ** instance.restarts);
    this.set(instance, { kind: "backoff", failure: failure("exited", "exit 1"), retryAtMs });
    this.later(instance, instance.life, retryAtMs - this.world.nowMs, () => {
      instance.restarts += 1;
      this.start(id);
    });
  }

  private later(instance: Running, life: number, delayMs: number, act: () => void): void {
    this.world.after(delayMs, () => {
      if (instance.life === life && this.powered && this.running.get(instance.desired.instance) === instance) act();
    });
  }

  private set(instance: Running, status: ObservedStatus): void {
    instance.status = status;
    instance.sinceMs = this.world.nowMs;
    if (status.kind === "ready") this.saidReady.add(`${instance.desired.instance}/${instance.desired.generation}`);
    this.beatSoon();
  }

  private startAgent(): void {
    this.bootCount += 1;
    this.boot = `boot-${this.id.slice(-6)}-${this.bootCount}`;
    this.seq = 0;
  }

  private beatSoon(): void {
    this.world.after(1, () => this.beat());
  }
  private beatLater(): void {
    this.world.after(this.world.between(1_700, 2_300), () => {
      this.beat();
      this.beatLater();
    });
  }

  private beat(): void {
    if (!this.reachable) return;
    this.seq += 1;
    const observed: ObservedInstance[] = [...this.running.values()].map((instance) => ({
      instance: instance.desired.instance,
      generation: instance.desired.generation,
      app: instance.desired.app as AppId,
      status: instance.status,
      restarts: instance.restarts,
      digest: instance.status.kind === "ready" ? `sha256:${instance.desired.release.slice(4)}` : null,
      sinceMs: instance.sinceMs,
    }));
    const request = {
      protocol: 1,
      ackRevision: this.document?.revision ?? 0,
      agentVersion: "sim",
      observed,
      used: { cpuMilli: 0, memoryBytes: 0, diskBytes: 0 },
      gatewayReady: this.gatewayUp,
      watched: [],
      metering: [],
      conditions: [],
      notices: [],
      images: [],
    };
    const proof = { node: this.id, jkt: "jkt", boot: this.boot, lane: "heartbeat" as const, seq: this.seq };
    this.link.heartbeat({ ...proof, request }, (result) => {
      if (!this.reachable || !result.ok) return;
      if (result.value.revision <= (this.document?.revision ?? 0)) return;
      this.link.fetchDocument((document) => document && this.offer(document));
    });
  }

  restartAgent(downMs: number): void {
    this.agentUp = false;
    this.world.after(downMs, () => {
      this.agentUp = true;
      this.startAgent();
      this.beatSoon();
    });
  }

  cutFor(ms: number): void {
    this.cutOff = true;
    this.world.after(ms, () => {
      this.cutOff = false;
      this.beatSoon();
    });
  }

  /** All that ran is dead; after the power returns the agent starts again what its stored document names. */
  powerFor(offMs: number): void {
    this.powered = false;
    this.gatewayUp = false;
    for (const instance of this.running.values()) instance.life += 1;
    this.running.clear();
    this.world.after(offMs, () => {
      this.powered = true;
      this.gatewayUp = true;
      this.startAgent();
      this.converge();
    });
  }

  /** What the edge would find: does the gateway reach a ready instance of this generation? */
  answers(instance: InstanceId, generation: number): boolean {
    const found = this.running.get(instance);
    return this.powered && this.gatewayUp && found?.desired.generation === generation && found.status.kind === "ready";
  }
}
