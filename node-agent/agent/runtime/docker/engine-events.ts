// The Engine's event stream, kept open: which containers of this node ended. After a gap the listener is told to look again.
import type Docker from "dockerode";
import { backoffMs, pause } from "../../link/pause.ts";
import { LABEL } from "./labels.ts";

export interface EventPorts {
  readonly died: (container: string) => void;
  /** The stream was (re)opened: what happened before is to be found out by listing. */
  readonly lookAgain: () => void;
}

interface EngineEvent {
  readonly Type?: string;
  readonly Action?: string;
  readonly Actor?: { readonly ID?: string };
}

export class EngineEvents {
  readonly #docker: Docker;
  readonly #node: string;
  readonly #ports: EventPorts;
  readonly #stop = new AbortController();
  #stream: { destroy?: () => void } | null = null;

  constructor(docker: Docker, node: string, ports: EventPorts) {
    this.#docker = docker;
    this.#node = node;
    this.#ports = ports;
  }

  async run(): Promise<void> {
    let failures = 0;
    while (!this.#stop.signal.aborted) {
      try {
        const stream = await this.#docker.getEvents({
          filters: { type: ["container"], event: ["die"], label: [`${LABEL.node}=${this.#node}`] },
        });
        this.#stream = stream as { destroy?: () => void };
        // The end may have come while the Engine was answering.
        if (this.#stop.signal.aborted) this.stop();
        if (failures > 0) this.#ports.lookAgain();
        failures = 0;
        await this.#read(stream);
      } catch {
        // The Engine is away: it is asked again below.
      }
      if (this.#stop.signal.aborted) return;
      failures += 1;
      await pause(backoffMs(failures, 100, 2_000, null), this.#stop.signal);
    }
  }

  stop(): void {
    this.#stop.abort();
    this.#stream?.destroy?.();
  }

  async #read(stream: NodeJS.ReadableStream): Promise<void> {
    let rest = "";
    for await (const chunk of stream) {
      rest += chunk.toString();
      const lines = rest.split("\n");
      rest = lines.pop() ?? "";
      for (const line of lines) {
        const event = line === "" ? null : (JSON.parse(line) as EngineEvent);
        if (event?.Actor?.ID !== undefined) this.#ports.died(event.Actor.ID);
      }
    }
  }
}
