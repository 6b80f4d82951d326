// An agent's first moments, as the shipped one has them: until it knows what became of its instances, nothing new is begun or serves.
import { SIM_AGENT_LIMITS } from "../limits.ts";

export class Arrival {
  /** Whether the document may be acted on. */
  isActing = false;
  /** Whether what becomes ready in this run of the agent may have traffic. */
  isServing: boolean;
  private readonly changed: () => void;

  /** silentForMs: since a heartbeat was last answered in this boot. */
  constructor(silentForMs: number, changed: () => void) {
    this.changed = changed;
    this.isServing = silentForMs < SIM_AGENT_LIMITS.leaseMs;
  }

  /** What runs was found, and the first heartbeat leaves. */
  begin(after: (delayMs: number, act: () => void) => void): void {
    after(SIM_AGENT_LIMITS.firstAnswerMs, () => this.failed());
    after(SIM_AGENT_LIMITS.returnHoldMs, () => this.accepted());
  }

  /** The first heartbeat was not answered in time: it goes by what it has. */
  failed(): void {
    if (this.isActing) return;
    this.isActing = true;
    this.changed();
  }
  answered(revision: number, ours: number): void {
    if (revision <= ours) this.accepted();
  }
  /** A document came in this run, or ours is the newest; or it has waited long enough. */
  accepted(): void {
    if (this.isActing && this.isServing) return;
    this.isActing = true;
    this.isServing = true;
    this.changed();
  }
}
