// Which protocol this agent speaks: its own, or the one before where the control plane was set back to a version that knows no other.
import { AGENT_PROTOCOL } from "../../../contracts/agent-protocol.ts";
import { AGENT_LIMITS } from "../../../core/converge/limits.ts";
import { monotonicMs } from "./control-clock.ts";

export class SpokenProtocol {
  readonly #againMs: number;
  #olderUntilMs = 0;

  constructor(againMs: number = AGENT_LIMITS.protocolAgainMs) {
    this.#againMs = againMs;
  }

  now(): number {
    return monotonicMs() < this.#olderUntilMs ? AGENT_PROTOCOL - 1 : AGENT_PROTOCOL;
  }

  /** Whether there is another one to try. Whoever asks for what the older one lacks is told so by name. */
  refused(protocol: number): boolean {
    if (protocol !== AGENT_PROTOCOL) return false;
    this.#olderUntilMs = monotonicMs() + this.#againMs;
    return true;
  }
}
