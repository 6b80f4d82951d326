// All instances of the node: adopted at the start, and moved by the plan whenever anything changed.
import type { HeartbeatRequest, ObservedInstance } from "../../../contracts/agent-protocol.ts";
import type { DesiredDocument, DesiredInstance } from "../../../contracts/desired.ts";
import type { InstanceId } from "../../../contracts/ids.ts";
import { type Action, converge, printPlan } from "../../../core/converge/converge.ts";
import { assertNever } from "../../../core/step.ts";
import type { EndpointFile, EndpointInstance } from "../../endpoint-file.ts";
import { pause } from "../link/pause.ts";
import type { Unit } from "../runtime/runtime.ts";
import { Instance } from "./instance.ts";
import type { SupervisePorts } from "./ports.ts";

export class Fleet {
  readonly #ports: SupervisePorts;
  readonly #instances = new Map<InstanceId, Instance>();
  readonly #stop = new AbortController();
  #adopted = false;
  #lookDue = false;
  #timer: NodeJS.Timeout | null = null;
  #printed = "";

  constructor(ports: SupervisePorts) {
    this.#ports = ports;
    ports.runtime.onExit((unit, exit) => {
      const instance = this.#instances.get(unit.instance);
      if (instance?.generation === unit.generation) instance.exited(unit, exit);
    });
  }

  /** Finds what runs here already. Nothing may be started before, or it could be started twice. Waits for an Engine that is away. */
  async adopt(before: EndpointFile | null): Promise<void> {
    const { runtime, store, strict, endpoints, log } = this.#ports;
    let units: Unit[] | null = null;
    while (units === null && !this.#stop.signal.aborted) {
      units = await runtime.list().catch(async (error: unknown) => {
        log.warn({ error: String(error) }, "what runs here cannot be listed yet");
        await pause(1_000, this.#stop.signal);
        return null;
      });
    }
    for (const unit of newestFirst(units ?? [])) {
      // An older generation of one that is here: nothing names it, so it has no record of its own.
      if (this.#instances.has(unit.instance)) void this.#endOrphan(unit);
      else this.#adopt(unit, before);
    }
    for (const desired of store.desired?.instances ?? []) {
      if (this.#instances.has(desired.instance)) continue;
      const instance = new Instance(this.#ports, desired, desired);
      const fence = store.fences.get(desired.instance);
      const wasStopped = fence?.generation === desired.generation && fence.stopped;
      if (instance.resume(wasStopped)) this.#instances.set(desired.instance, instance);
    }
    this.#ports.facts.keepOnly(new Set([...this.#instances.keys(), ...this.#named.keys()]));
    this.#adopted = true;
    endpoints.begin();
    await strict.begin();
    this.#tidy();
    void this.#sweepNowAndThen();
  }

  #adopt(unit: Unit, before: EndpointFile | null): void {
    const { strict, store } = this.#ports;
    const wanted = this.#named.get(unit.instance);
    const desired = wanted?.generation === unit.generation ? wanted : null;
    const instance = new Instance(this.#ports, unit, desired);
    this.#instances.set(unit.instance, instance);
    instance.adopt(unit, desired !== null && served(before, unit));
    // An end that an agent before us began, or that nobody was there for.
    if (instance.isStrict && (instance.record.facts.fenced || !strict.covered)) void instance.fence();
    // A stop that was not finished is no news; what was never in a document of ours is.
    if (desired === null && store.fences.get(unit.instance) === undefined) this.#noteOrphan(unit);
  }

  /** Someone says that something changed: the plan is made anew, once for all who say so now. */
  look(): void {
    if (!this.#adopted || this.#lookDue || this.#stop.signal.aborted) return;
    this.#lookDue = true;
    setImmediate(() => {
      this.#lookDue = false;
      if (!this.#stop.signal.aborted) this.#act();
    });
  }

  observed(): ObservedInstance[] {
    return [...this.#instances.values()].map(({ record }) => record.observed());
  }

  /** Whether there is something newer to say than what was just acknowledged. */
  reported(request: HeartbeatRequest): boolean {
    let more = false;
    for (const observed of request.observed) {
      if (this.#instances.get(observed.instance)?.record.reported(observed)) more = true;
    }
    return more;
  }

  endpoints(): EndpointInstance[] {
    const intents = new Map(
      this.#ports.store.desired?.instances.map((at) => [`${at.instance}/${at.generation}`, at.intent]),
    );
    return [...this.#instances.values()].flatMap((instance) => {
      const intent = intents.get(`${instance.instance}/${instance.generation}`) ?? "absent";
      const row = instance.endpoint(intent, this.#ports.arrival.serves);
      return row === null ? [] : [row];
    });
  }

  running(): Unit[] {
    return [...this.#instances.values()].flatMap((instance) => instance.running ?? []);
  }

  /** Whether all that was here has come to its end, which is final. */
  get isEmpty(): boolean {
    return [...this.#instances.values()].every(({ record }) => record.state.kind === "stopped");
  }

  async leave(): Promise<void> {
    this.#stop.abort();
    if (this.#timer !== null) clearTimeout(this.#timer);
    await Promise.all([...this.#instances.values()].map((instance) => instance.leave()));
  }

  /** What runs, or is about to, and that this document does not name: its stop is told as stale. */
  unnamedBy(document: DesiredDocument): Instance[] {
    const named = new Set(document.instances.map(({ instance, generation }) => `${instance}/${generation}`));
    return [...this.#instances.values()].filter(({ instance, generation, record }) => {
      const { kind } = record.state;
      const over = kind === "stopping" || kind === "stopped" || kind === "failed" || kind === "done";
      return !over && !named.has(`${instance}/${generation}`);
    });
  }

  /** The lease of this node's strict singletons ran out. */
  fenceStrict(): void {
    for (const instance of this.#instances.values()) if (instance.isStrict) void instance.fence();
  }

  /** Instances that are here or coming: what is kept for others may go. */
  get known(): ReadonlySet<string> {
    return new Set([...this.#instances.keys(), ...this.#named.keys()]);
  }

  get #named(): Map<InstanceId, DesiredInstance> {
    return new Map(this.#ports.store.desired?.instances.map((wanted) => [wanted.instance, wanted]));
  }

  /** Of teams that have nothing here any more, and nothing coming. */
  #tidy(): void {
    const { runtime, store, log } = this.#ports;
    const here = [...this.#instances.values()].flatMap((instance) => instance.team ?? []);
    const coming = store.desired?.instances.map(({ team }) => team) ?? [];
    runtime
      .tidy(new Set([...here, ...coming]))
      .catch((error: unknown) => log.warn({ error: String(error) }, "tidying"));
  }

  /** Events can be missed, and anybody with the Engine's socket can start what carries our labels. */
  async #sweepNowAndThen(): Promise<void> {
    const { runtime, limits, notices, log } = this.#ports;
    for (;;) {
      await pause(limits.sweepMs, this.#stop.signal);
      if (this.#stop.signal.aborted) return;
      try {
        const { units, unreadable } = await runtime.sweep();
        for (const unit of units) if (this.#isOrphan(unit)) void this.#endOrphan(unit);
        for (const what of unreadable) {
          const told = `${what} carried this node's label and named no instance of it: removed`;
          void notices.add("orphan_stopped", null, told);
        }
      } catch (error) {
        log.warn({ error: String(error) }, "what runs here cannot be listed");
      }
    }
  }

  /** Listed while it was not ours to know of: an instance that is being started has its record before its container. */
  #isOrphan({ instance, generation }: Unit): boolean {
    const known = this.#instances.get(instance);
    return known === undefined || known.generation > generation;
  }

  async #endOrphan(unit: Unit): Promise<void> {
    const { runtime, log } = this.#ports;
    this.#noteOrphan(unit);
    await runtime.stop(unit, 0).catch((error: unknown) => log.error({ error: String(error) }, "an orphan is left"));
  }

  #noteOrphan({ instance, generation, life }: Unit): void {
    const told = `generation ${generation} ran here and is in no document of this node: stopped`;
    void this.#ports.notices.add("orphan_stopped", instance, told, `orphan/${life}`);
  }

  #act(): void {
    const { store, clock, limits, arrival, strict, dismissal, log } = this.#ports;
    if (store.desired === null) return;
    const desired = dismissal.keeps(store.desired);
    for (const wanted of desired.instances) {
      const instance = this.#instances.get(wanted.instance);
      if (instance?.generation === wanted.generation) instance.setDesired(wanted);
    }
    const local = [...this.#instances.values()].map(({ record }) => record.local());
    const { covered } = strict;
    const plan = converge({ desired, local, fences: store.fences, nowMs: clock.nowMs(), limits, covered });
    // Until the first answer only what cannot wait: the document may be an old one. And a removed node begins nothing.
    const begins = ({ kind }: Action) => kind === "start" || kind === "restart";
    const may = (action: Action) => arrival.acts && (dismissal.mayStart || !begins(action));
    const actions = plan.actions.filter((action) => may(action) || action.kind === "fence");
    if (actions.length > 0) {
      const printed = printPlan({ ...plan, actions, notes: [] });
      if (printed.join() !== this.#printed) log.info({ revision: plan.revision, plan: printed }, "plan");
      this.#printed = printed.join();
    }
    for (const action of actions) this.#execute(action, desired);
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    if (plan.wakeAtMs !== null) {
      this.#timer = setTimeout(() => this.look(), Math.max(1, plan.wakeAtMs - clock.nowMs()));
    }
  }

  #execute(action: Action, desired: DesiredDocument): void {
    const { endpoints, log, logs } = this.#ports;
    const instance = this.#instances.get(action.instance);
    switch (action.kind) {
      case "withdraw":
        // The file is made of the document, which does not name it: what follows waits for this write.
        void endpoints.write().catch((error: unknown) => log.error({ error: String(error) }, "endpoint file"));
        return;
      case "stop":
        void instance?.stop();
        return;
      case "fence":
        void instance?.fence();
        return;
      case "start": {
        const wanted = desired.instances.find((at) => at.instance === action.instance);
        if (wanted === undefined) return;
        const started = new Instance(this.#ports, wanted, wanted);
        this.#instances.set(wanted.instance, started);
        started.start(false);
        return;
      }
      case "restart":
        instance?.start(true);
        return;
      case "give_up":
        instance?.giveUp();
        return;
      case "forget":
        this.#instances.delete(action.instance);
        if (instance !== undefined) void this.#ports.facts.forget(instance).catch(() => undefined);
        void endpoints.write().catch(() => undefined);
        void logs.remove(action.instance).catch(() => undefined);
        this.#tidy();
        return;
      default:
        assertNever(action);
    }
  }
}

function newestFirst(units: readonly Unit[]): Unit[] {
  return [...units].sort((a, b) => b.generation - a.generation);
}

/** Whether the endpoint file of the agent before us says that this very unit serves: then it was reported ready. */
function served(before: EndpointFile | null, unit: Unit): boolean {
  const row = before?.instances.find(
    ({ instance, generation }) => instance === unit.instance && generation === unit.generation,
  );
  return (
    row !== undefined &&
    row.host === unit.host &&
    row.port === unit.port &&
    (row.state === "serving" || row.state === "draining")
  );
}
