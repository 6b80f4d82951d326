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
import { expect } from "vitest";
import { httpApp, send, type Answer, type App } from "../node-agent/gateway/upstreams.ts";

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

  unavailable(reason: Extract<Route["state"], { kind: "unavailable" }>["reason"]): Route {
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

/** The stage of the edge's tests: three nodes, and apps with named instances on them. */
export class Stage {
  readonly world: EdgeTest;
  readonly #apps: App[] = [];
  readonly #rows: EndpointInstance[][] = [[], [], []];
  #count = 10;

  constructor(world: EdgeTest) {
    this.world = world;
  }

  fresh(): TestApp {
    return new TestApp(this.world, ++this.#count);
  }

  /** A backend that reads a request to its end and answers with its name. */
  async named(name: string): Promise<App> {
    return this.add(await httpApp((asked, response) => void asked.resume().on("end", () => response.end(name))));
  }

  add(app: App): App {
    this.#apps.push(app);
    return app;
  }

  async put(on: number, row: EndpointInstance): Promise<void> {
    const list = this.#rows[on - 1] as EndpointInstance[];
    this.#rows[on - 1] = [...list.filter(({ instance }) => instance !== row.instance), row];
    await this.world.gateways[on - 1]?.write({ instances: this.#rows[on - 1] });
  }

  /** What a node's gateway says of an app's newest route version; nothing where version is null. */
  async name(on: number, app: TestApp, version: number | null): Promise<void> {
    await this.world.gateways[on - 1]?.write({ routes: version === null ? {} : { [app.app]: version } });
  }

  /** An app with one instance on each of the first nodes, named a, b, c. */
  async spread(nodes: number): Promise<{ app: TestApp; backends: App[]; route: Route }> {
    const app = this.fresh();
    const backends: App[] = [];
    for (let n = 1; n <= nodes; n++) {
      const backend = await this.named("abc"[n - 1] as string);
      backends.push(backend);
      await this.put(n, app.row(n, backend));
    }
    const route = app.route([
      app.release(
        1,
        100,
        backends.map((_backend, index) => app.endpoint(index + 1, index + 1)),
      ),
    ]);
    await app.publish(route);
    return { app, backends, route };
  }

  async stop(): Promise<void> {
    await this.world.stop();
    for (const app of this.#apps) await app.close();
  }
}

/**
 * Sends GETs until the App object has heard so often of an instance that cannot be reached, and answers what it heard. Which instance a
 * request goes to is chance: no number of them is sure to meet the one that fails.
 */
export async function untilReported({ world }: Stage, app: TestApp, answer?: string, times = 1) {
  const byMs = Date.now() + 60_000;
  for (;;) {
    const [body] = await bodies(app, 1);
    if (answer !== undefined) expect(body).toBe(answer);
    const told = await world.edge.reports(app.app);
    if (told.length >= times || Date.now() > byMs) return told;
  }
}

/** One after the other: what each answered, or its status where that was not 200. */
export async function bodies(
  app: TestApp,
  requests: number,
  wish: Parameters<TestApp["send"]>[0] = {},
): Promise<string[]> {
  const answers = [];
  for (let index = 0; index < requests; index++) answers.push(await app.send(wish));
  return answers.map(({ status, body }) => (status === 200 ? body : String(status)));
}
