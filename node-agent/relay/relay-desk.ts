// All of relaying that one gateway does: nodes that are reached through it, and the relays through which it is reached itself.
import { stat } from "node:fs/promises";
import { join } from "node:path";
import type { Duplex } from "node:stream";
import type { NodeId } from "../../contracts/ids.ts";
import { readJsonFile, writeAtomically } from "../agent/state/durable-file.ts";
import type { GatewayLimits } from "../gateway/limits.ts";
import { AdmissionDesk, type Admission, type RelayTrust } from "./admission.ts";
import { Dialler, type DiallerPorts } from "./dialler.ts";
import { Known, RELAY_FILE, RELAYED_FILE, RelayFile } from "./relay-file.ts";
import { Tunnels } from "./tunnels.ts";

export interface RelayPorts extends DiallerPorts {
  readonly dir: string;
  readonly limits: GatewayLimits;
  readonly trust: () => RelayTrust | null;
}

export class RelayDesk {
  readonly tunnels: Tunnels;
  readonly #ports: RelayPorts;
  readonly #path: string;
  readonly #admission = new AdmissionDesk();
  readonly #dialler: Dialler;
  readonly #knownPath: string;
  #mark = "";
  #remembered: Promise<void> = Promise.resolve();

  constructor(ports: RelayPorts) {
    this.#ports = ports;
    this.#path = join(ports.dir, RELAY_FILE);
    this.#knownPath = join(ports.dir, RELAYED_FILE);
    this.tunnels = new Tunnels(ports.limits);
    this.#dialler = new Dialler(ports);
  }

  /** To which relays this node has a connection. */
  get held(): NodeId[] {
    return this.#dialler.held();
  }

  admit(header: string): Promise<Admission> {
    return this.#admission.judge(header, this.#ports.trust(), this.#ports.controlNowMs());
  }

  adopt(node: NodeId, carrier: Duplex): void {
    this.#ports.log.info({ node }, "a node is reached through this gateway");
    this.tunnels.adopt(node, carrier);
    this.#remembered = this.#remembered.then(() => this.#remember());
  }

  /** Whom the gateway before this one relayed for: they dial this one within a moment. */
  async recall(): Promise<void> {
    const known = await readJsonFile(this.#knownPath, Known).catch(() => null);
    this.tunnels.expect(known?.nodes ?? []);
  }

  /** Written so that the next gateway waits for them; lost, it turns them away for a moment. */
  async #remember(): Promise<void> {
    const nodes = this.tunnels.nodes();
    await writeAtomically(this.#knownPath, JSON.stringify({ nodes } satisfies Known)).catch((error: unknown) =>
      this.#ports.log.warn({ error: String(error) }, "the nodes behind this gateway cannot be written down"),
    );
  }

  async changed(): Promise<boolean> {
    return (await this.#look()) !== this.#mark;
  }

  /** Throws when the file is there and cannot be read: what was so stays so. */
  async load(): Promise<void> {
    const mark = await this.#look();
    if (mark === this.#mark) return;
    this.#mark = mark;
    this.#dialler.take(await readJsonFile(this.#path, RelayFile));
  }

  /** Before a hand-over or an end: no more comes this way, and what is open goes on. */
  release(): void {
    this.#dialler.release();
    this.tunnels.release();
  }

  destroy(): void {
    this.tunnels.destroy();
  }

  /** "" where there is none. */
  async #look(): Promise<string> {
    const seen = await stat(this.#path).catch(() => null);
    return seen === null ? "" : `${seen.ino}/${seen.mtimeMs}/${seen.size}`;
  }
}
