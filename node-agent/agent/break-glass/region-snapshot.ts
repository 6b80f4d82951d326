// The node's copy of its region's snapshot: fetched while there is a control plane, kept for when there is none.
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import type { Logger } from "pino";
import { z } from "zod";
import type { RegionName } from "../../../contracts/ids.ts";
import { type Snapshot, SNAPSHOT_PATH } from "../../../contracts/snapshot.ts";
import type { AgentLimits } from "../../../core/converge/limits.ts";
import { openSnapshot, PEERS_FILE, type PeersFile, REGION_FILE, SNAPSHOT_FILE } from "../../snapshot-file.ts";
import type { GatewaySocket } from "../gateway-child/gateway-socket.ts";
import type { Control } from "../link/control.ts";
import { pause } from "../link/pause.ts";
import { writeAtomically, writeDurably } from "../state/durable-file.ts";
import type { Identity } from "../state/identity.ts";

const Answer = z.object({ snapshot: z.string(), nowMs: z.number() });

export interface RegionSnapshotPorts {
  readonly dir: string;
  readonly limits: AgentLimits;
  readonly log: Logger;
  readonly control: Control;
  readonly identity: Identity;
  readonly gateway: GatewaySocket;
}

export class RegionSnapshot {
  readonly #ports: RegionSnapshotPorts;
  readonly #stop = new AbortController();
  #loop: Promise<void> = Promise.resolve();
  #known: Pick<Snapshot, "region" | "version"> | null = null;
  /** The version that the control plane wants this node to have. */
  #least = 0;
  #hurry = new AbortController();

  constructor(ports: RegionSnapshotPorts) {
    this.#ports = ports;
  }

  /** What is on disk counts before anybody is asked. One that cannot be read is fetched anew: it may be of a key from before. */
  async open(): Promise<void> {
    const { dir, log } = this.#ports;
    const signed = await readFile(join(dir, SNAPSHOT_FILE), "utf8").catch(() => null);
    if (signed === null) return;
    try {
      const snapshot = await this.#read(signed);
      await this.#publish(snapshot);
      this.#known = snapshot;
    } catch (error) {
      log.warn({ error: String(error) }, "the stored snapshot of the region is not used");
    }
  }

  /** Asks at once where it has only older ones, and again with every heartbeat's word until it has it. */
  isToBe(version: number): void {
    this.#least = Math.max(this.#least, version);
    if ((this.#known?.version ?? 0) < this.#least) this.#hurry.abort();
  }

  start(): void {
    this.#loop = this.#run();
  }

  async stop(): Promise<void> {
    this.#stop.abort();
    await this.#loop;
  }

  async #run(): Promise<void> {
    const { limits, log } = this.#ports;
    const { signal } = this.#stop;
    while (!signal.aborted) {
      await this.#look(signal).catch((error: unknown) => {
        if (!signal.aborted) log.debug({ error: String(error) }, "no newer snapshot of the region");
      });
      this.#hurry = new AbortController();
      // Jitter: nodes that started together do not go on together.
      await pause(limits.snapshotMs * (0.9 + Math.random() / 5), AbortSignal.any([signal, this.#hurry.signal]));
    }
  }

  async #look(signal: AbortSignal): Promise<void> {
    const { control, limits, dir, log, gateway } = this.#ports;
    const path = `${SNAPSHOT_PATH}?have=${this.#known?.version ?? 0}${this.#least > 0 ? `&least=${this.#least}` : ""}`;
    const call = { lane: "ask", method: "GET", path, timeoutMs: limits.snapshotTimeoutMs, signal } as const;
    const answer = await control.call(call, Answer);
    if (answer === null) return;
    const snapshot = await this.#read(answer.snapshot);
    if (snapshot.version <= (this.#known?.version ?? 0)) {
      log.warn({ known: this.#known?.version, told: snapshot.version }, "an older snapshot of the region is refused");
      return;
    }
    await writeDurably(join(dir, SNAPSHOT_FILE), answer.snapshot);
    await this.#publish(snapshot);
    await gateway.reload();
    this.#known = snapshot;
    log.info({ version: snapshot.version, routes: snapshot.routes.length }, "a snapshot of the region is kept");
  }

  async #read(signed: string): Promise<Snapshot> {
    const { enrolled } = this.#ports.identity;
    if (enrolled === null) throw new Error("not enrolled");
    const snapshot = await openSnapshot(signed, enrolled.ticketKeys);
    const region = enrolled.cell.slice(0, enrolled.cell.lastIndexOf(".")) as RegionName;
    if (snapshot.region !== region) throw new Error(`a snapshot of ${snapshot.region}, and this node is in ${region}`);
    return snapshot;
  }

  async #publish(snapshot: Snapshot): Promise<void> {
    const { dir } = this.#ports;
    const { region, version, nodes } = snapshot;
    await writeAtomically(join(dir, REGION_FILE), JSON.stringify(snapshot));
    await writeAtomically(join(dir, PEERS_FILE), JSON.stringify({ region, version, nodes } satisfies PeersFile));
  }
}
