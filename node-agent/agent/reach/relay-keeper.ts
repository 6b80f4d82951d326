// Keeps this node's gateway told of its relays, and the control plane of which of them it has a connection to.
import { join } from "node:path";
import { exportJWK, generateKeyPair } from "jose";
import { AGENT_PROTOCOL } from "../../../contracts/agent-protocol.ts";
import type { NodeId } from "../../../contracts/ids.ts";
import { type RelayOffer, RelayResponse } from "../../../contracts/relay.ts";
import { RELAY_FILE, RelayFile } from "../../relay/relay-file.ts";
import { monotonicMs } from "../link/control-clock.ts";
import { backoffMs } from "../link/pause.ts";
import { readJsonFile, writeDurably } from "../state/durable-file.ts";
import type { ReachPorts, Way } from "./reach.ts";

export class RelayKeeper implements Way {
  readonly #ports: ReachPorts;
  #file: RelayFile;
  #writtenAtMs = -Infinity;
  #held: readonly NodeId[] = [];
  #asked = "";
  #dueAtMs = 0;
  #failures = 0;
  /** Whether the edge was told of one of them, as far as is known: what was so before this agent began is so. */
  #isRouted: boolean;
  #why = "the control plane was not asked for relays yet";

  private constructor(ports: ReachPorts, file: RelayFile, isRouted: boolean) {
    this.#ports = ports;
    this.#file = file;
    this.#isRouted = isRouted;
  }

  static async open(ports: ReachPorts): Promise<RelayKeeper> {
    // One that cannot be read costs a new key and one question.
    const stored = await readJsonFile(join(ports.dir, RELAY_FILE), RelayFile).catch(() => null);
    return new RelayKeeper(ports, stored ?? { key: await makeKey(), relays: [] }, stored !== null);
  }

  get trouble(): string | null {
    const { relays } = this.#file;
    if (this.#held.length > 0 && this.#isRouted) return null;
    if (relays.length === 0) return `it is to be reached through another node: ${this.#why}`;
    const to = relays.map(({ name, gatewayUrl }) => `${name} (${gatewayUrl})`).join(", ");
    if (this.#held.length === 0) return `its gateway has no connection to any of its relays: ${to}; see gateway.log`;
    return `its relays wait for it, and the control plane does not know yet: ${this.#why}`;
  }

  async look(signal: AbortSignal): Promise<void> {
    const { gateway, limits } = this.#ports;
    this.#held = (await gateway.counters())?.relays ?? [];
    const wish = JSON.stringify([...this.#held].sort());
    const nowMs = monotonicMs();
    if (nowMs < this.#dueAtMs && (this.#failures > 0 || wish === this.#asked)) return;
    try {
      const { relays, through } = await this.#ask(signal);
      this.#asked = wish;
      this.#failures = 0;
      this.#dueAtMs = nowMs + limits.relayAskMs;
      this.#isRouted = through !== null;
      this.#why = relays.length === 0 ? "no node of its cell can relay for it" : "it was told just now";
      await this.#take(relays, nowMs);
    } catch (error) {
      signal.throwIfAborted();
      this.#failures += 1;
      this.#dueAtMs = nowMs + backoffMs(this.#failures, limits.pollBackoffMinMs, limits.relayAskMs, null);
      this.#why = error instanceof Error ? error.message : String(error);
      this.#ports.log.warn({ error: this.#why }, "the relays of this node are asked for again");
    }
  }

  async #ask(signal: AbortSignal): Promise<RelayResponse> {
    const body = { protocol: AGENT_PROTOCOL, key: this.#file.key.x, held: this.#held };
    const call = { lane: "ask", method: "POST", path: "/agent/v1/relay", body, signal } as const;
    const answer = await this.#ports.control.call(
      { ...call, timeoutMs: this.#ports.limits.askTimeoutMs },
      RelayResponse,
    );
    if (answer === null) throw new Error("the control plane answered without a body");
    return answer;
  }

  /** Grants are good for a day, and written anew each hour: a gateway dials with those on the disk. None at all keeps what there was. */
  async #take(relays: readonly RelayOffer[], nowMs: number): Promise<void> {
    const { dir, gateway, limits } = this.#ports;
    const places = (of: readonly RelayOffer[]) => JSON.stringify(of.map(({ node, gatewayUrl }) => [node, gatewayUrl]));
    const isSame = places(relays) === places(this.#file.relays);
    if (relays.length === 0 || (isSame && nowMs - this.#writtenAtMs < limits.relayGrantRefreshMs)) return;
    this.#file = { ...this.#file, relays: [...relays] };
    await writeDurably(join(dir, RELAY_FILE), JSON.stringify(this.#file));
    this.#writtenAtMs = nowMs;
    await gateway.reload();
  }
}

async function makeKey(): Promise<RelayFile["key"]> {
  const { privateKey } = await generateKeyPair("EdDSA", { crv: "Ed25519", extractable: true });
  return RelayFile.shape.key.parse(await exportJWK(privateKey));
}
