// The edge and its nodes over TLS: workerd checks the certificates that real gateways show, before and after they were changed.
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { rename, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { ask, type GatewayProcess } from "../../bench/shared/gateway-world.ts";
import { TLS_FILE } from "../../node-agent/endpoint-file.ts";
import { makeAuthority, type Authority } from "../node-agent/pki.ts";
import { httpApp, type App } from "../node-agent/gateway/upstreams.ts";
import type { EdgeTest, TestApp } from "./world.ts";

const dir = mkdtempSync(join(tmpdir(), "berth-tls-"));
let authority: Authority;
let world: EdgeTest;
let app: TestApp;
let backend: App;

async function install(gateway: GatewayProcess | undefined, by: Authority, name: string): Promise<void> {
  const { cert, key } = await by.issue({ names: [name] });
  const at = gateway?.dir ?? "";
  await writeFile(join(at, "next.pem"), cert + key);
  await rename(join(at, "next.pem"), join(at, TLS_FILE));
  await ask(at, "POST", "/reload");
}

const overTls = (n: number, on: number) => ({
  ...app.endpoint(n, on),
  gatewayUrl: `https://localhost:${world.gateways[on - 1]?.port}`,
});

beforeAll(async () => {
  authority = await makeAuthority();
  writeFileSync(join(dir, "ca.pem"), authority.ca);
  // Read once, when Miniflare is loaded: workerd trusts it beside the public ones.
  process.env.NODE_EXTRA_CA_CERTS = join(dir, "ca.pem");
  const { edgeTest, TestApp: Played } = await import("./world.ts");
  world = await edgeTest(2);
  app = new Played(world, 1);
  backend = await httpApp((asked, response) => {
    let body = "";
    asked.on("data", (chunk: Buffer) => (body += chunk.toString()));
    asked.on("end", () => response.end(`${asked.method} ${asked.headers["x-forwarded-proto"]} ${body}`));
  });
  for (const [at, gateway] of world.gateways.entries()) {
    await install(gateway, authority, "localhost");
    await gateway.write({ instances: [app.row(at + 1, backend)] });
  }
});
afterAll(async () => {
  await world.stop();
  await backend.close();
  rmSync(dir, { recursive: true, force: true });
});

describe("the edge", () => {
  it("reaches an app over TLS, and through a change of the certificate without a failed request, of any method", async () => {
    await app.publish(app.route([app.release(1, 100, [overTls(1, 1)])]));
    expect(await app.send()).toMatchObject({ status: 200 });
    let stop = false;
    let answered = 0;
    const faults: unknown[] = [];
    const visitors = ["GET", "POST", "POST"].map(async (method) => {
      while (!stop) {
        const answer = await app.send({ method, ...(method === "POST" ? { body: "once" } : {}) });
        if (answer.status !== 200 || !answer.body.startsWith(method)) faults.push(answer);
        answered += 1;
      }
    });
    for (let times = 0; times < 4; times += 1) {
      await install(world.gateways[0], authority, "localhost");
      const seen = answered;
      await expect.poll(() => answered, { interval: 5 }).toBeGreaterThan(seen + 30);
    }
    stop = true;
    await Promise.all(visitors);
    expect(faults).toEqual([]);
  });

  it("still reaches a node by its plain address until the route names the other one", async () => {
    await app.publish(app.route([app.release(1, 100, [app.endpoint(1, 1)])]));
    expect(await app.send()).toMatchObject({ status: 200 });
  });

  it("goes to another node where a certificate is for another name, and hands no ticket to one whose issuer nobody knows", async () => {
    await install(world.gateways[0], authority, "elsewhere.test");
    await app.publish(app.route([app.release(1, 100, [overTls(1, 1), overTls(2, 2)])]));
    for (let times = 0; times < 6; times += 1) expect((await app.send()).status).toBe(200);
    await install(world.gateways[1], await makeAuthority(), "localhost");
    await app.publish(app.route([app.release(1, 100, [overTls(2, 2)])]));
    await expect.poll(async () => (await app.send()).status).toBeGreaterThanOrEqual(500);
  });
});
