// All instances of one server: adopted when its agent starts, and moved by the shipped plan whenever anything changed.
import type { HeartbeatRequest, ObservedInstance } from "../../../contracts/agent-protocol.ts";
import type { DesiredDocument, DesiredInstance } from "../../../contracts/desired.ts";
import type { InstanceId } from "../../../contracts/ids.ts";
import type { Action } from "../../../core/converge/converge.ts";
import { assertNever } from "../../../core/step.ts";
import type { Arrival } from "./arrival.ts";
import type { Container, Exit } from "./engine.ts";
import type { EndpointFile, EndpointRow } from "./gateway.ts";
import type { Machine } from "./machine.ts";
import { Supervised, type SupervisePorts } from "./supervised.ts";

export class Fleet {
  private readonly instances = new Map<InstanceId, Supervised>();
  private isLookDue = false;
  private wakeOrder = 0;
  private readonly machine: Machine;
  private readonly ports: SupervisePorts;
  private readonly arrival: Arrival;

  constructor(machine: Machine, ports: SupervisePorts, arrival: Arrival) {
    this.machine = machine;
    this.ports = ports;
    this.arrival = arrival;
  }

  /** Nothing may be started before, or it could be started twice. */
  adopt(): void {
    const { engine, disk } = this.machine;
    const named = new Map(disk.desired?.instances.map((wanted) => [wanted.instance, wanted]));
    for (const container of engine.list().sort((a, b) => b.generation - a.generation)) {
      if (this.instances.has(container.instance)) engine.stop(container, "stopped", () => undefined);
      else this.adoptOne(container, named.get(container.instance), disk.endpoints);
    }
    for (const desired of named.values()) {
      if (this.instances.has(desired.instance)) continue;
      const instance = new Supervised(this.ports, desired, desired);
      const fence = disk.fences.get(desired.instance);
      const wasStopped = fence?.generation === desired.generation && fence.stopped;
      if (instance.resume(wasStopped)) this.instances.set(desired.instance, instance);
    }
    this.sweep();
  }
  private adoptOne(container: Container, wanted: DesiredInstance | undefined, before: EndpointFile | null): void {
    const desired = wanted?.generation === container.generation ? wanted : null;
    const supervised = new Supervised(this.ports, container, desired);
    this.instances.set(container.instance, supervised);
    const row = before?.rows.find((each) => each.instance === container.instance);
    const served = row?.generation === container.generation && isServing(row);
    supervised.adopt(container, desired !== null && served);
    const isCovered = this.machine.contact.isCovered();
    if (supervised.isStrict && (supervised.record.facts.fenced || !isCovered)) supervised.fence();
  }

  exited(container: Container, life: number, exit: Exit): void {
    this.instances.get(container.instance)?.exited(container, life, exit);
  }
  healthChanged(container: Container): void {
    this.instances.get(container.instance)?.look(container);
  }
  observed(): ObservedInstance[] {
    return [...this.instances.values()].map(({ record }) => record.observed());
  }
  /** Whether there is something newer to say than what was just acknowledged. */
  reported(request: HeartbeatRequest): boolean {
    let hasMore = false;
    for (const observed of request.observed) {
      if (this.instances.get(observed.instance)?.record.reported(observed)) hasMore = true;
    }
    return hasMore;
  }

  endpoints(): EndpointRow[] {
    const { disk, habits } = this.machine;
    const intents = new Map<string, DesiredInstance["intent"]>();
    for (const { instance, generation, intent } of disk.desired?.instances ?? []) {
      intents.set(`${instance}/${generation}`, intent);
    }
    return [...this.instances.values()].flatMap((instance) => {
      const { record } = instance;
      const state = habits.endpointState(record.state, intents.get(record.key) ?? "absent");
      return instance.endpoint(state, this.arrival.isServing);
    });
  }

  /** The lease of this node's strict singletons ran out. */
  fenceStrict(): void {
    for (const instance of this.instances.values()) if (instance.isStrict) instance.fence();
  }
  /** Only a broken agent has this. */
  stopAll(): void {
    for (const instance of this.instances.values()) instance.stop();
  }

  /** The plan is made anew, once for all who say so now. */
  look(): void {
    if (this.isLookDue) return;
    this.isLookDue = true;
    this.ports.after(0, () => {
      this.isLookDue = false;
      this.act();
    });
  }

  /** Anybody with the Engine's socket can start what carries our labels. */
  private sweep(): void {
    const { engine } = this.machine;
    this.ports.after(this.ports.limits.sweepMs, () => {
      for (const container of engine.isUpNow() ? engine.list() : []) {
        const known = this.instances.get(container.instance)?.record;
        if (known && known.generation <= container.generation) continue;
        engine.stop(container, "stopped", () => undefined);
      }
      this.sweep();
    });
  }

  private act(): void {
    const { disk, habits, contact, world, name } = this.machine;
    const desired = disk.desired;
    if (desired === null) return;
    for (const wanted of desired.instances) {
      const instance = this.instances.get(wanted.instance);
      if (instance?.record.generation === wanted.generation) instance.desired = wanted;
    }
    const local = [...this.instances.values()].map(({ record }) => record.local());
    const nowMs = this.ports.nowMs();
    const { limits } = this.ports;
    const covered = contact.isCovered();
    const plan = habits.converge({ desired, local, fences: disk.fences, nowMs, limits, covered });
    for (const action of plan.actions) {
      // Until the first answer only what cannot wait: the document may be an old one.
      if (!this.arrival.isActing && action.kind !== "fence") continue;
      if (action.kind !== "withdraw") world.note(`${name}: ${action.kind} ${action.instance}: ${action.reason}`);
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
        return this.ports.writeEndpoints(() => undefined);
      case "stop":
        return instance?.stop();
      case "fence":
        return instance?.fence();
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
        if (instance) this.machine.disk.facts.delete(instance.record.key);
        return this.ports.writeEndpoints(() => undefined);
      default:
        return assertNever(action);
    }
  }
}

const isServing = ({ state }: EndpointRow): boolean => state === "serving" || state === "draining";
