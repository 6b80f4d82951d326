// A region without a control plane, for tests of the ingress: real gateways with apps behind them, their snapshot, and an ingress among them.
import { mkdirSync } from "node:fs";
import { rename, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { exportJWK, generateKeyPair, type CryptoKey } from "jose";
import {
  appId,
  ask,
  endpointInstance,
  type GatewayProcess,
  instanceId,
  nodeId,
  releaseId,
  type SigningKey,
  signingKey,
  startGateway,
  teamId,
} from "../../../bench/shared/gateway-world.ts";
import { RegionName } from "../../../contracts/ids.ts";
import type { Endpoint, Route, RouteRelease } from "../../../contracts/route.ts";
import type { Snapshot, SnapshotPort } from "../../../contracts/snapshot.ts";
import { type EndpointInstance, TLS_FILE } from "../../../node-agent/endpoint-file.ts";
import { RELAY_FILE, type RelayFile } from "../../../node-agent/relay/relay-file.ts";
import { signGrant } from "../../../workers/control/relay/grant.ts";
import { relayKey } from "../relay/relayed.ts";
import { runIngress, type IngressOptions, type RunningIngress } from "../../../node-agent/ingress/run.ts";
import { PEERS_FILE, REGION_FILE } from "../../../node-agent/snapshot-file.ts";
import type { Issued } from "../pki.ts";

interface Member {
  readonly number: number;
  readonly gateway: GatewayProcess;
  readonly key: CryptoKey;
  readonly x: string;
}

export class Region {
  readonly members: Member[] = [];
  readonly #key: SigningKey;
  #version = 0;
  /** Who is reached through whom. */
  readonly #behind = new Map<number, number>();
  /** Nodes whose gateways are to be reached by TLS. */
  readonly secured = new Set<number>();
  /** Of what was published last. */
  routes: Snapshot["routes"] = [];
  ingress: RunningIngress | null = null;

  private constructor(key: SigningKey) {
    this.#key = key;
  }

  static async start(nodes: number): Promise<Region> {
    const region = new Region(await signingKey());
    for (let number = 1; number <= nodes; number += 1) {
      const { privateKey, publicKey } = await generateKeyPair("EdDSA", { crv: "Ed25519", extractable: true });
      const gateway = await startGateway({ node: nodeId(number), key: region.#key });
      region.members.push({ number, gateway, key: privateKey, x: (await exportJWK(publicKey)).x as string });
    }
    return region;
  }

  get version(): number {
    return this.#version;
  }

  /** The control plane's own key, private. */
  get secret(): string {
    return this.#key.secret;
  }

  member(number: number): Member {
    return this.members[number - 1] as Member;
  }

  /** On that node an instance of that number, served at that port. */
  async place(node: number, rows: [instance: number, port: number, wish?: Partial<EndpointInstance>][]): Promise<void> {
    const instances = rows.map(([instance, port, wish]) =>
      endpointInstance(port, { instance: instanceId(instance), ...wish }),
    );
    await this.member(node).gateway.write({ instances });
  }

  /** Nobody dials it from the next snapshot on: its gateway has a connection to the other one's. */
  async hide(number: number, through: number): Promise<void> {
    this.#behind.set(number, through);
    const [key, { gateway }] = [await relayKey(), this.member(through)];
    const grant = await signGrant(
      this.#key.secret,
      { node: nodeId(number), relay: nodeId(through), key: key.x },
      Date.now(),
    );
    const relays = [{ node: nodeId(through), name: "relay", gatewayUrl: gateway.url, grant }];
    await put(join(this.member(number).gateway.dir, RELAY_FILE), { key, relays } satisfies RelayFile);
  }

  /** What every node keeps from now on, and the ingress serves by once it has looked. */
  async publish(
    routes: Snapshot["routes"],
    ports: SnapshotPort[] = [],
    without: readonly number[] = [],
  ): Promise<void> {
    this.#version += 1;
    this.routes = routes;
    const nodes = this.members
      .filter(({ number }) => !without.includes(number))
      .map(({ number, x }) => {
        const gate = this.#behind.get(number) ?? number;
        return { node: nodeId(number), signKey: x, gatewayUrl: this.#urlOf(gate, this.member(gate).gateway) };
      });
    const head = { region: RegionName.parse("fra"), version: this.#version, atMs: Date.now(), baseDomain: "apps.test" };
    for (const { gateway } of this.members) {
      await put(join(gateway.dir, PEERS_FILE), { ...head, nodes });
      await put(join(gateway.dir, REGION_FILE), { ...head, nodes, routes, ports } satisfies Snapshot);
      await ask(gateway.dir, "POST", "/reload").catch(() => undefined);
    }
  }

  #urlOf(number: number, { url }: GatewayProcess): string {
    return this.secured.has(number) ? url.replace("http:", "https:") : url;
  }

  /** The certificate that a node's gateway shows from now on. */
  async certify(number: number, { cert, key }: Issued): Promise<void> {
    const { dir } = this.member(number).gateway;
    await writeFile(join(dir, TLS_FILE), `${cert}\n${key}`);
    await ask(dir, "POST", "/reload");
    this.secured.add(number);
  }

  /** On node 1. */
  async open(wish: Partial<IngressOptions> = {}): Promise<RunningIngress> {
    const { gateway, key } = this.member(1);
    mkdirSync(join(gateway.dir, "ingress"), { recursive: true });
    const log = { info: () => undefined, warn: () => undefined };
    this.ingress = await runIngress({
      ...{ dir: gateway.dir, host: "127.0.0.1", tlsPort: 0, plainPort: 0, certificates: null, log, version: "test" },
      ...{ node: nodeId(1), signKey: key, limits: { lookMs: 20, drainMs: 200 } },
      ...wish,
    });
    return this.ingress;
  }

  /** Another one, at another address, where the ports of instances on this host are free. */
  async openElsewhere(host: string): Promise<RunningIngress> {
    const first = this.ingress;
    const other = await this.open({ host });
    this.ingress = first;
    return other;
  }

  async close(): Promise<void> {
    await this.ingress?.close();
    for (const { gateway } of this.members) await gateway.stop();
  }
}

async function put(path: string, content: unknown): Promise<void> {
  await writeFile(`${path}.tmp`, JSON.stringify(content));
  await rename(`${path}.tmp`, path);
}

export const endpoint = (node: number, instance: number): Endpoint => ({
  instance: instanceId(instance),
  generation: 1,
  node: nodeId(node),
  gatewayUrl: "http://elsewhere.test",
});
export const release = (version: number, weight: number, endpoints: Endpoint[]): RouteRelease => ({
  release: releaseId(version),
  version,
  weight,
  endpoints,
});
export const routeOf = (state: Route["state"], app = 1): Route => ({
  app: appId(app),
  team: teamId(1),
  name: "shop",
  version: 1,
  state,
  atMs: 0,
});
