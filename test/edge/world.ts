// One app behind real gateways and a real edge: what the edge's tests are made of.
import { startEdge, servingRoute, type EdgeWorld } from "../../bench/shared/edge-world.ts";
import {
  appId,
  endpointInstance,
  instanceId,
  nodeId,
  releaseId,
  signingKey,
  startGateway,
  teamId,
  type GatewayProcess,
  type SigningKey,
} from "../../bench/shared/gateway-world.ts";
import type { Endpoint, Route, RouteRelease } from "../../contracts/route.ts";
import type { EndpointInstance } from "../../node-agent/endpoint-file.ts";
import { send, type Answer, type App } from "../node-agent/gateway/upstreams.ts";

export interface EdgeTest {
  readonly edge: EdgeWorld;
  readonly key: SigningKey;
  readonly gateways: readonly GatewayProcess[];
  stop(): Promise<void>;
}

export async function edgeTest(gatewayCount: number): Promise<EdgeTest> {
  const key = await signingKey();
  const gateways: GatewayProcess[] = [];
  for (let number = 1; number <= gatewayCount; number++)
    gateways.push(await startGateway({ node: nodeId(number), key }));
  const edge = await startEdge(key);
  return {
    edge,
    key,
    gateways,
    stop: async () => {
      await edge.stop();
      for (const gateway of gateways) {
        gateway.process.kill("SIGCONT");
        await gateway.stop();
      }
    },
  };
}

/** An app of its own for each test: number names app, team and hostname; instance n of it has the id number * 100 + n. */
export class TestApp {
  readonly #test: EdgeTest;
  readonly number: number;
  readonly hostname: string;
  version = 0;

  constructor(test: EdgeTest, number: number) {
    this.#test = test;
    this.number = number;
    this.hostname = `app${number}.localhost`;
  }

  get app() {
    return appId(this.number);
  }

  /** on: the gateway's number, from 1. */
  endpoint(n: number, on: number): Endpoint {
    const gatewayUrl = this.#test.gateways[on - 1]?.url ?? "";
    return { instance: instanceId(this.number * 100 + n), generation: 1, node: nodeId(on), gatewayUrl };
  }

  row(n: number, app: App, wish: Partial<EndpointInstance> = {}): EndpointInstance {
    const owner = { app: this.app, team: teamId(this.number) };
    return endpointInstance(app.port, { instance: instanceId(this.number * 100 + n), ...owner, ...wish });
  }

  release(number: number, weight: number, endpoints: Endpoint[]): RouteRelease {
    return { release: releaseId(this.number * 100 + number), version: number, weight, endpoints };
  }

  route(releases: RouteRelease[]): Route {
    return servingRoute({ app: this.app, team: teamId(this.number), version: ++this.version }, releases);
  }

  unavailable(reason: "never_deployed" | "starting" | "no_ready_instance" | "scaled_to_zero" | "destroyed"): Route {
    return { ...this.route([]), state: { kind: "unavailable", reason } };
  }

  /** Publishes hostname and route, in the objects and (unless wished otherwise) in KV. */
  async publish(route: Route, wish: { kv?: boolean } = {}): Promise<void> {
    await this.#test.edge.setHost(this.hostname, { app: this.app, team: teamId(this.number) }, wish);
    await this.#test.edge.setRoute(route, wish);
  }

  send(wish: Parameters<typeof send>[1] = {}): Promise<Answer> {
    return send(this.#test.edge.port, { ...wish, headers: { host: this.hostname, ...wish.headers } });
  }
}
