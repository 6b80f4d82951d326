// One gateway with one app behind instance 1 at a time, and requests to it with a valid ticket.
import { readFileSync } from "node:fs";
import {
  endpointInstance,
  instanceId,
  nodeId,
  signingKey,
  startGateway,
  type GatewayProcess,
  type SigningKey,
} from "../../../bench/shared/gateway-world.ts";
import type { EndpointInstance } from "../../../node-agent/endpoint-file.ts";
import { send, ticket, type Answer, type App } from "./upstreams.ts";

export class Served {
  readonly key: SigningKey;
  readonly gateway: GatewayProcess;
  readonly #apps: App[] = [];

  constructor(key: SigningKey, gateway: GatewayProcess) {
    this.key = key;
    this.gateway = gateway;
  }

  static async start(limits: Record<string, number> = {}): Promise<Served> {
    const key = await signingKey();
    return new Served(key, await startGateway({ node: nodeId(1), key, limits }));
  }

  /** Puts an app behind instance 1 (or as wished), alone on the node. */
  async serve(app: App, wish: Partial<EndpointInstance> = {}): Promise<App> {
    this.#apps.push(app);
    await this.gateway.write({ instances: [endpointInstance(app.port, { instance: instanceId(1), ...wish })] });
    return app;
  }

  pass(): Promise<string> {
    return ticket(this.key);
  }

  async ask(wish: Parameters<typeof send>[1] = {}): Promise<Answer> {
    const envelope = `${await this.pass()} - http req-12345 - shop.test:81`;
    return send(this.gateway.port, { ...wish, headers: { "berth-ticket": envelope, ...wish.headers } });
  }

  /** The gateway process's resident memory. */
  residentBytes(): number {
    const status = readFileSync(`/proc/${this.gateway.process.pid}/status`, "utf8");
    return Number(/VmRSS:\s+(\d+)/.exec(status)?.[1]) * 1024;
  }

  async stop(): Promise<void> {
    await this.gateway.stop();
    for (const app of this.#apps) await app.close();
  }
}
