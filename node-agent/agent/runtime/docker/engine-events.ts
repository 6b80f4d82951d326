// The Engine's event stream, kept open: which containers of this node ended or ran out of memory, and whether the Engine is there at all.
import { Agent } from "node:http";
import Docker from "dockerode";
import { backoffMs, pause } from "../../link/pause.ts";
import type { EngineChange } from "../runtime.ts";
import { LABEL } from "./labels.ts";

export interface EventPorts {
  readonly died: (container: string) => void;
  /** The kernel ended a process of it for want of memory; the container may live on. */
  readonly outOfMemory: (container: string) => void;
  /** Told once for each change. After "back" what happened meanwhile is to be found out by listing. */
  readonly engine: (change: EngineChange) => void;
}

interface EngineEvent {
  readonly Type?: string;
  readonly Action?: string;
  readonly Actor?: { readonly ID?: string };
}

/** A restart takes about a second: looked for this often, so that what died with the Engine is back soon after it. */
const RECONNECT_MS_MAX = 400;
const PING_TIMEOUT_MS = 1_000;
/** Before the stream is opened: an Engine that is only being started takes connections long before it answers. */
const FIRST_PING_TIMEOUT_MS = 3_000;
/** A fresh connection each: one that was kept is served to the end by an Engine that is on its way down. */
const freshConnections = new Agent({ keepAlive: false });

export class EngineEvents {
  readonly #docker: Docker;
  readonly #fresh: Docker;
  readonly #patient: Docker;
  readonly #node: string;
  readonly #ports: EventPorts;
  readonly #stop = new AbortController();
  #stream: { destroy?: () => void } | null = null;
  /** Until the first connection it is taken to be there: whoever needs it will see. */
  #awaySinceMs: number | null = null;
  #waiting: (() => void)[] = [];

  constructor(docker: Docker, node: string, ports: EventPorts) {
    this.#docker = docker;
    this.#fresh = new Docker({ agent: freshConnections, timeout: PING_TIMEOUT_MS } as Docker.DockerOptions);
    this.#patient = new Docker({ agent: freshConnections, timeout: FIRST_PING_TIMEOUT_MS } as Docker.DockerOptions);
    this.#node = node;
    this.#ports = ports;
  }

  get isAway(): boolean {
    return this.#awaySinceMs !== null;
  }

  async run(): Promise<void> {
    let failures = 0;
    while (!this.#stop.signal.aborted) {
      try {
        await this.#patient.ping();
        const stream = await this.#docker.getEvents({
          filters: { type: ["container"], event: ["die", "oom"], label: [`${LABEL.node}=${this.#node}`] },
        });
        this.#stream = stream as { destroy?: () => void };
        // The end may have come while the Engine was answering.
        if (this.#stop.signal.aborted) this.stop();
        failures = 0;
        this.#back();
        await this.#read(stream);
      } catch {
        // The Engine is away: it is asked again below.
      }
      if (this.#stop.signal.aborted) return;
      this.#away();
      failures += 1;
      await pause(backoffMs(failures, 50, RECONNECT_MS_MAX, null), this.#stop.signal);
    }
  }

  stop(): void {
    this.#stop.abort();
    this.#stream?.destroy?.();
    for (const resolve of this.#waiting.splice(0)) resolve();
  }

  /** Whether the Engine takes new connections now. When it does not, the stream is opened anew, which tells when it is back. */
  async answers(): Promise<boolean> {
    if (this.#awaySinceMs !== null) return false;
    try {
      await this.#fresh.ping();
      return true;
    } catch {
      this.#away();
      this.#stream?.destroy?.();
      return false;
    }
  }

  /** Resolves once it is there, or the signal is aborted, or the watch ends. */
  async whenUp(signal: AbortSignal): Promise<void> {
    while (this.#awaySinceMs !== null && !signal.aborted && !this.#stop.signal.aborted) {
      await new Promise<void>((resolve) => {
        this.#waiting.push(resolve);
        signal.addEventListener("abort", () => resolve(), { once: true });
      });
    }
  }

  #away(): void {
    if (this.#awaySinceMs !== null) return;
    this.#awaySinceMs = performance.now();
    this.#ports.engine({ kind: "away" });
  }

  #back(): void {
    if (this.#awaySinceMs === null) return;
    const awayMs = Math.round(performance.now() - this.#awaySinceMs);
    this.#awaySinceMs = null;
    this.#ports.engine({ kind: "back", awayMs });
    for (const resolve of this.#waiting.splice(0)) resolve();
  }

  async #read(stream: NodeJS.ReadableStream): Promise<void> {
    let rest = "";
    for await (const chunk of stream) {
      rest += chunk.toString();
      const lines = rest.split("\n");
      rest = lines.pop() ?? "";
      for (const line of lines) {
        const event = line === "" ? null : (JSON.parse(line) as EngineEvent);
        const container = event?.Actor?.ID;
        if (container === undefined) continue;
        if (event?.Action === "oom") this.#ports.outOfMemory(container);
        else this.#ports.died(container);
      }
    }
  }
}
