// What a node does that was removed: nothing new at once, its singletons end soon, the rest when that is certain (ADR 12).
import type { Logger } from "pino";
import type { DesiredDocument } from "../../../contracts/desired.ts";
import type { AgentLimits } from "../../../core/converge/limits.ts";
import { type Clocks, HOST_CLOCKS, type Moment, momentOf, sinceMs } from "../state/moment.ts";

export interface DismissalPorts {
  readonly limits: AgentLimits;
  readonly log: Logger;
  /** Whether the control plane says so under its signature. Throws when that cannot be known. */
  readonly ask: () => Promise<boolean>;
  /** What may run here is another question now. */
  readonly changed: () => void;
  /** Whether nothing is left here that runs or could be started again. */
  readonly isEmpty: () => boolean;
  readonly clocks?: Clocks;
}

/** heard: signed once; nothing is started. Then, each signed anew: singletons have to end, and all has to. */
const STAGES = ["member", "heard", "singletons", "all"] as const;
type Stage = (typeof STAGES)[number];

export class Dismissal {
  readonly #ports: DismissalPorts;
  readonly #clocks: Clocks;
  #stage: Stage = "member";
  #heardAt: Moment | null = null;
  #asking = false;
  #told = "";

  constructor(ports: DismissalPorts) {
    this.#ports = ports;
    this.#clocks = ports.clocks ?? HOST_CLOCKS;
  }

  get mayStart(): boolean {
    return this.#stage === "member";
  }

  /** Everything has to end here. */
  get isOver(): boolean {
    return this.#stage === "all";
  }

  /** What of the document is still to run. */
  keeps(document: DesiredDocument): DesiredDocument {
    if (this.#stage === "all") return { ...document, instances: [] };
    if (this.#stage !== "singletons") return document;
    return { ...document, instances: document.instances.filter(({ singleton }) => singleton === null) };
  }

  /** A heartbeat was refused because the node was removed. Silence never comes here, and so stops nothing. */
  refused(): void {
    if (this.isOver && this.#ports.isEmpty()) {
      this.#tell("nothing runs here any more; `purge` removes what is left of this node");
    }
    const due = this.#due();
    if (this.#asking || STAGES.indexOf(due) <= STAGES.indexOf(this.#stage)) return;
    this.#asking = true;
    void this.#ask(due).finally(() => (this.#asking = false));
  }

  /** A heartbeat was answered: the node belongs here. What was stopped meanwhile stays so. */
  answered(): void {
    if (this.#stage === "member") return;
    this.#stage = "member";
    this.#heardAt = null;
    this.#tell("the control plane takes it back that this node was removed");
    this.#ports.changed();
  }

  #due(): Stage {
    if (this.#heardAt === null) return "heard";
    const { removedSingletonStopMs, removedStopMs } = this.#ports.limits;
    const heardForMs = sinceMs(this.#heardAt, this.#clocks);
    if (heardForMs >= removedStopMs) return "all";
    return heardForMs >= removedSingletonStopMs ? "singletons" : "heard";
  }

  async #ask(due: Stage): Promise<void> {
    const { ask, changed } = this.#ports;
    try {
      if (!(await ask())) return this.answered();
    } catch (error) {
      return this.#tell(`that this node was removed cannot be verified, so nothing is stopped: ${String(error)}`);
    }
    this.#heardAt ??= momentOf(this.#clocks);
    this.#stage = due;
    this.#tell(this.#story(due));
    changed();
  }

  #story(stage: Stage): string {
    const { removedSingletonStopMs, removedStopMs } = this.#ports.limits;
    if (stage === "all") return "this node was removed: all that runs here is stopped now";
    if (stage === "singletons") return "this node was removed: its singletons are stopped now";
    const when = `singletons in ${removedSingletonStopMs / 1_000} s, the rest in ${removedStopMs / 1_000} s`;
    return `the control plane says that this node was removed: nothing is started here any more; ${when} are stopped unless it takes that back`;
  }

  /** Not at every beat. */
  #tell(what: string): void {
    if (what !== this.#told) this.#ports.log.warn(what);
    this.#told = what;
  }
}
