// Two gateways for tests of relaying: one that is reached, and one behind it that dialled; and requests to the second through the first.
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { exportJWK, generateKeyPair } from "jose";
import {
  endpointInstance,
  instanceId,
  nodeId,
  signingKey,
  startGateway,
  type GatewayProcess,
  type SigningKey,
} from "../../../bench/shared/gateway-world.ts";
import type { TicketRequest } from "../../../workers/edge/tickets.ts";
import { RELAY_FILE, RelayFile } from "../../../node-agent/relay/relay-file.ts";
import { signGrant } from "../../../workers/control/relay/grant.ts";
import { eventually, send, ticket, type Answer, type App } from "../gateway/upstreams.ts";

export const [RELAY, HIDDEN] = [nodeId(1), nodeId(2)];

export async function relayKey(): Promise<RelayFile["key"]> {
  const { privateKey } = await generateKeyPair("EdDSA", { crv: "Ed25519", extractable: true });
  return RelayFile.shape.key.parse(await exportJWK(privateKey));
}

export class Relayed {
  readonly key: SigningKey;
  readonly relay: GatewayProcess;
  hidden: GatewayProcess;

  private constructor(key: SigningKey, relay: GatewayProcess, hidden: GatewayProcess) {
    this.key = key;
    this.relay = relay;
    this.hidden = hidden;
  }

  static async start(limits: Record<string, number> = {}): Promise<Relayed> {
    const key = await signingKey();
    const [relay, hidden] = await Promise.all([RELAY, HIDDEN].map((node) => startGateway({ node, key, limits })));
    return new Relayed(key, relay as GatewayProcess, hidden as GatewayProcess);
  }

  /** As the agent writes it once the control plane has told it of the relay. */
  async dial(to: { readonly url: string } = this.relay, own?: RelayFile["key"]): Promise<void> {
    const key = own ?? (await relayKey());
    const grant = await signGrant(this.key.secret, { node: HIDDEN, relay: RELAY, key: key.x }, Date.now());
    await this.tell({ key, relays: [{ node: RELAY, name: "relay", gatewayUrl: to.url, grant }] });
  }

  async tell(file: RelayFile): Promise<void> {
    await writeFile(join(this.hidden.dir, RELAY_FILE), JSON.stringify(file));
    await this.hidden.write({});
  }

  /** Until the hidden gateway answers through the other one. */
  async reached(): Promise<Answer> {
    return eventually(
      () => send(this.relay.port, { path: `/.berth/health?node=${HIDDEN}` }),
      ({ status }) => status === 200,
    );
  }

  async serve(app: App): Promise<App> {
    await this.hidden.write({ instances: [endpointInstance(app.port, { instance: instanceId(1) })] });
    return app;
  }

  async headers(wish: Partial<TicketRequest> = {}): Promise<Record<string, string>> {
    const pass = await ticket(this.key, { node: HIDDEN, ...wish });
    return { "berth-ticket": `${pass} - https req-1 203.0.113.9 shop.test` };
  }

  async ask(wish: Parameters<typeof send>[1] = {}): Promise<Answer> {
    return send(this.relay.port, { ...wish, headers: { ...(await this.headers()), ...wish.headers } });
  }

  async stop(): Promise<void> {
    await Promise.all([this.relay.stop(), this.hidden.stop()]);
  }
}
