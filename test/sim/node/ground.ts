// What is truly so on all servers, which no part of Berth can see at once: what runs where, and how it came to end.
import type { DesiredInstance } from "../../../contracts/desired.ts";
import type { AppId, InstanceId } from "../../../contracts/ids.ts";
import type { Container } from "./engine.ts";
import type { Machine } from "./machine.ts";

/** exited: by itself. stopped, killed: by the agent. removed: somebody's `docker rm`. */
export type EndCause = "exited" | "power" | "stopped" | "killed" | "removed" | "fenced";

interface Run {
  readonly container: Container;
  readonly machine: Machine;
}

/** What the Engine of one machine tells. */
export interface Ground {
  started(container: Container): void;
  ended(container: Container, cause: EndCause): void;
}

export class Truth {
  readonly faults: string[] = [];
  /** Runs by instance; more than one at a time is a fault. */
  private readonly running = new Map<InstanceId, Run[]>();
  private readonly singletons = new Map<AppId, Run[]>();
  /** Commands before and after each release, which have names of their own. */
  private readonly errands = new Set<string>();
  /** instance/generation whose stop was final. */
  private readonly finished = new Set<string>();

  of(machine: () => Machine): Ground {
    return {
      started: (container) => this.started({ container, machine: machine() }),
      ended: (container, cause) => this.ended({ container, machine: machine() }, cause),
    };
  }

  /** An agent said that this placement is over for good. */
  finish(container: { readonly instance: InstanceId; readonly generation: number }): void {
    this.finished.add(`${container.instance}/${container.generation}`);
  }

  runsOf(app: AppId): readonly Run[] {
    return this.singletons.get(app) ?? [];
  }

  private started(run: Run): void {
    const { container, machine } = run;
    machine.touch();
    const key = `${container.instance}/${container.generation}`;
    if (this.finished.has(key)) this.faults.push(`2: ${key} was stopped for good and started again on ${machine.name}`);
    const others = this.running.get(container.instance) ?? [];
    for (const other of others) {
      if (other.machine === machine) this.faults.push(`3: ${key} runs twice on ${machine.name}`);
      else this.faults.push(`1: ${key} runs on ${other.machine.name} and on ${machine.name}`);
    }
    this.running.set(container.instance, [...others, run]);
    if (container.desired.job) this.errandStarted(run);
    if (container.desired.singleton === null) return;
    this.singletonStarted(run);
    if (container.desired.singleton === "strict") machine.contact.watch();
  }

  /** 3: nobody knows what a migration would do that is run twice. */
  private errandStarted({ container, machine }: Run): void {
    const { release, command = [] } = container.desired;
    const errand = [...command, release].join(" ");
    if (this.errands.has(errand)) this.faults.push(`3: ${errand} is run again, on ${machine.name}`);
    this.errands.add(errand);
  }

  /** 4: two of them never run at once; but where an operator vouched that a server is gone for good and it was not. */
  private singletonStarted(run: Run): void {
    const { container, machine } = run;
    const others = this.singletons.get(container.app) ?? [];
    for (const other of others) {
      if (other.container.instance === container.instance) continue;
      // A strict one has stopped itself even there.
      const isVouchedFor = other.machine.isDisowned || machine.isDisowned;
      if (isVouchedFor && container.desired.singleton === "available") continue;
      this.faults.push(
        `4: ${container.desired.singleton} singleton ${container.instance} starts on ${machine.name} while ` +
          `${other.container.instance} runs on ${other.machine.name}`,
      );
    }
    this.singletons.set(container.app, [...others, run]);
  }

  private ended({ container, machine }: Run, cause: EndCause): void {
    machine.touch();
    const without = (runs: readonly Run[] | undefined): Run[] =>
      (runs ?? []).filter((run) => run.container !== container);
    this.running.set(container.instance, without(this.running.get(container.instance)));
    if (container.desired.singleton !== null) {
      this.singletons.set(container.app, without(this.singletons.get(container.app)));
    }
    if (cause === "stopped") this.checkStop(container, machine);
  }

  /** 5: an agent stops what its document does not name, in this generation; strict singletons are fenced, nothing else. */
  private checkStop(container: Container, machine: Machine): void {
    const named = machine.disk.desired?.instances.find(isSame(container));
    if (!named) return;
    this.faults.push(
      `5: ${machine.name} stopped ${container.instance}/${container.generation}, which its document ` +
        `${machine.disk.desired?.revision} names`,
    );
  }
}

const isSame =
  (container: Container) =>
  ({ instance, generation }: DesiredInstance): boolean =>
    instance === container.instance && generation === container.generation;
