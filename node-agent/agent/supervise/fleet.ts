// All instances of the node: adopted at the start, and moved by the plan whenever anything changed.
import type { HeartbeatRequest, ObservedInstance } from "../../../contracts/agent-protocol.ts";
import type { DesiredDocument } from "../../../contracts/desired.ts";
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
    const { runtime, store, log } = this.#ports;
    let units: Unit[] | null = null;
    while (units === null && !this.#stop.signal.aborted) {
      units = await runtime.list().catch(async (error: unknown) => {
        log.warn({ error: String(error) }, "what runs here cannot be listed yet");
        await pause(1_000, this.#stop.signal);
        return null;
      });
    }
    for (const unit of newestFirst(units ?? [])) {
      if (this.#instances.has(unit.instance)) {
        // An older generation of one that is here: nothing names it, so it has no record of its own.
        void runtime.stop(unit, 0).catch((error: unknown) => log.error({ error: String(error) }, "an orphan is left"));
        continue;
      }
      const wanted = store.desired?.instances.find(({ instance }) => instance === unit.instance);
      const desired = wanted?.generation === unit.generation ? wanted : null;
      const instance = new Instance(this.#ports, unit, desired);
      this.#instances.set(unit.instance, instance);
      instance.adopt(unit, desired !== null && served(before, unit));
    }
    this.#tidy();
  }

  /** Someone says that something changed: the plan is made anew, once for all who say so now. */
  look(): void {
    if (this.#lookDue || this.#stop.signal.aborted) return;
    this.#lookDue = true;
    setImmediate(() => {
      this.#lookDue = false;
      if (!this.#stop.signal.aborted) this.#act();
    });
  }

  observed(): ObservedInstance[] {
    return [...this.#instances.values()].map((instance) => instance.observed());
  }

  /** Whether there is something newer to say than what was just acknowledged. */
  reported(request: HeartbeatRequest): boolean {
    let more = false;
    for (const observed of request.observed) {
      if (this.#instances.get(observed.instance)?.reported(observed)) more = true;
    }
    return more;
  }

  endpoints(): EndpointInstance[] {
    const intents = new Map(
      this.#ports.store.desired?.instances.map((at) => [`${at.instance}/${at.generation}`, at.intent]),
    );
    return [...this.#instances.values()].flatMap((instance) => {
      const row = instance.endpoint(intents.get(`${instance.instance}/${instance.generation}`) ?? "absent");
      return row === null ? [] : [row];
    });
  }

  running(): Unit[] {
    return [...this.#instances.values()].flatMap((instance) => instance.running ?? []);
  }

  async leave(): Promise<void> {
    this.#stop.abort();
    if (this.#timer !== null) clearTimeout(this.#timer);
    await Promise.all([...this.#instances.values()].map((instance) => instance.leave()));
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

  #act(): void {
    const { store, clock, limits, log } = this.#ports;
    const desired = store.desired;
    if (desired === null) return;
    for (const wanted of desired.instances) {
      const instance = this.#instances.get(wanted.instance);
      if (instance?.generation === wanted.generation) instance.setDesired(wanted);
    }
    const local = [...this.#instances.values()].map((instance) => instance.local());
    const plan = converge({ desired, local, fences: store.fences, nowMs: clock.nowMs(), limits });
    if (plan.actions.length > 0) {
      const printed = printPlan({ ...plan, notes: [] });
      if (printed.join() !== this.#printed) log.info({ revision: plan.revision, plan: printed }, "plan");
      this.#printed = printed.join();
    }
    for (const action of plan.actions) this.#execute(action, desired);
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
