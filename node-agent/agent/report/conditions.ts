// What is wrong with the node as a whole just now: told in every heartbeat for as long as it lasts.
import type { NodeCondition } from "../../../contracts/agent-protocol.ts";

type Kind = NodeCondition["kind"];
const MESSAGE_MAX = 500;

export class Conditions {
  readonly #nowMs: () => number;
  readonly #changed: () => void;
  readonly #held = new Map<Kind, NodeCondition>();

  constructor(nowMs: () => number, changed: () => void) {
    this.#nowMs = nowMs;
    this.#changed = changed;
  }

  list(): NodeCondition[] {
    return [...this.#held.values()];
  }

  has(kind: Kind): boolean {
    return this.#held.has(kind);
  }

  /** message: null when it is over. A new wording of what lasts is told with the next beat, without haste. */
  set(kind: Kind, message: string | null): void {
    const before = this.#held.get(kind);
    if (message === null) {
      if (this.#held.delete(kind)) this.#changed();
      return;
    }
    const sinceMs = before?.sinceMs ?? Math.max(0, Math.round(this.#nowMs()));
    this.#held.set(kind, { kind, message: message.slice(0, MESSAGE_MAX), sinceMs });
    if (before === undefined) this.#changed();
  }
}
