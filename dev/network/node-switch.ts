// The switch of one node: its wires and its power, as a test or a benchmark throws them.
import { processesIn, type NodeNetwork } from "./namespaces.ts";
import { drop, heal, type NodePorts, type Wire } from "./wires.ts";

interface SwitchParts {
  readonly network: NodeNetwork;
  readonly ports: NodePorts;
  /** Kills the agent and keeps it down; starts it again. */
  readonly killAgent: () => Promise<void>;
  readonly startAgent: () => Promise<void>;
}

export class NodeSwitch {
  readonly #parts: SwitchParts;

  constructor(parts: SwitchParts) {
    this.#parts = parts;
  }

  /** Drops packets of these wires, beside what is dropped already, for at most so long. */
  drop(wires: readonly Wire[], forMs: number): Promise<void> {
    return drop(this.#parts.network, this.#parts.ports, wires, forMs);
  }

  heal(): Promise<void> {
    return heal(this.#parts.network);
  }

  /** Nothing comes out of the node from the moment this resolves `dark`; then everything on it is killed. */
  async cutPower(forMs: number): Promise<{ readonly darkAtMs: number }> {
    await this.drop(["power"], forMs);
    const darkAtMs = Date.now();
    await this.#parts.killAgent();
    await this.#killAll();
    return { darkAtMs };
  }

  async restorePower(): Promise<void> {
    await this.heal();
    await this.#parts.startAgent();
  }

  async #killAll(): Promise<void> {
    // Twice: what was being started while we looked.
    for (let round = 0; round < 2; round += 1) {
      for (const pid of await processesIn(this.#parts.network.namespace)) {
        try {
          process.kill(pid, "SIGKILL");
        } catch {
          // It ended in between.
        }
      }
    }
  }
}
