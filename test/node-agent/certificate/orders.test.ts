// Orders that an ACME server refuses, or that never get that far: what is told, and when they are tried again.
import { mkdtempSync, rmSync } from "node:fs";
import { createServer, type Server } from "node:http";
import { createServer as createSecure } from "node:https";
import { Agent } from "node:https";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import acme from "acme-client";
import { pino } from "pino";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { AGENT_LIMITS } from "../../../core/converge/limits.ts";
import { NameStore } from "../../../node-agent/agent/certificate/name-store.ts";
import type { Naming } from "../../../node-agent/agent/certificate/naming.ts";
import { Orders } from "../../../node-agent/agent/certificate/orders.ts";
import { ControlClock } from "../../../node-agent/agent/link/control-clock.ts";
import { clockTrouble } from "../../../node-agent/agent/report/clock-trouble.ts";
import { makeAuthority } from "../pki.ts";

const NAME = "n-1.nodes.test";
const HOUR_MS = 3_600_000;
const quiet = pino({ level: "silent" });
const open: Server[] = [];
let dir: string;

/** As RFC 8555 has it up to the new order, which is answered so. requests: the paths that were asked for. */
async function refusing(status: number, problem: object, headers: Record<string, string> = {}) {
  const requests: string[] = [];
  const server = createServer((request, response) => {
    const path = request.url ?? "";
    const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    const answer = (code: number, body: object, more: Record<string, string> = {}) =>
      response
        .writeHead(code, { "content-type": "application/json", "replay-nonce": `n${requests.length}`, ...more })
        .end(JSON.stringify(body));
    request.resume().on("end", () => {
      if (request.method === "POST") requests.push(path);
      if (path === "/dir") {
        const paths = { newNonce: "/nonce", newAccount: "/account", newOrder: "/order" };
        return answer(200, Object.fromEntries(Object.entries(paths).map(([name, at]) => [name, origin + at])));
      }
      if (path === "/account") return answer(201, { status: "valid" }, { location: `${origin}/account/1` });
      if (path === "/order") return answer(status, problem, headers);
      return answer(200, {});
    });
  });
  open.push(server);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/dir`, requests };
}

interface Made {
  readonly orders: Orders;
  readonly store: NameStore;
  readonly clock: ControlClock;
  readonly order: (directoryUrl: string) => Promise<unknown>;
}

async function makeOrders(limits: Partial<typeof AGENT_LIMITS> = {}, clock = new ControlClock()): Promise<Made> {
  const store = await NameStore.open(dir);
  const all = { ...AGENT_LIMITS, ...limits } as typeof AGENT_LIMITS;
  const orders = new Orders({ limits: all, log: quiet, clock, store, email: null });
  const naming = { challenge: () => Promise.resolve() } as unknown as Naming;
  return { orders, store, clock, order: (url) => orders.order(NAME, url, naming, new AbortController().signal) };
}

beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), "berth-orders-"));
});
afterEach(() => {
  delete acme.axios.defaults.httpsAgent;
  rmSync(join(dir, "name.json"), { force: true });
});
afterAll(() => {
  for (const server of open) server.close();
  rmSync(dir, { recursive: true, force: true });
});

describe("an order", () => {
  it("that runs into the server's limits is put off for as long as it says, over restarts of the agent too", async () => {
    const problem = { type: "urn:ietf:params:acme:error:rateLimited", detail: "too many certificates already issued" };
    const { url, requests } = await refusing(429, problem, { "retry-after": "7200" });
    const { order, orders, store, clock } = await makeOrders();
    expect(await order(url)).toBeNull();
    expect(orders.trouble()).toMatch(/^too many certificates already issued; tried again at 20\d\d-/);
    const waitMs = store.state.retryAtMs - clock.nowMs();
    expect(waitMs).toBeGreaterThan(1.9 * HOUR_MS);
    expect(waitMs).toBeLessThan(2.3 * HOUR_MS);
    expect(requests).toEqual(["/account", "/order"]);
    const later = await makeOrders();
    expect(await later.order(url)).toBeNull();
    expect(requests).toEqual(["/account", "/order"]);
    expect(later.orders.trouble()).toContain("too many certificates");
  });

  it("that is refused is tried again ever more seldom, and under the same account", async () => {
    const problem = { type: "urn:ietf:params:acme:error:rejectedIdentifier", detail: "policy forbids this name" };
    const { url, requests } = await refusing(403, problem);
    const limits = { acmeBackoffMinMs: 1_000, acmeBackoffMaxMs: 1_001 } as unknown as Partial<typeof AGENT_LIMITS>;
    const { order, orders, store } = await makeOrders(limits);
    await order(url);
    expect(orders.trouble()).toContain("policy forbids this name");
    expect(await order(url)).toBeNull();
    expect(requests).toEqual(["/account", "/order"]);
    await store.put({ retryAtMs: 0 });
    await order(url);
    expect(store.state.failures).toBe(2);
    expect(requests).toEqual(["/account", "/order", "/order"]);
  });

  it("of an account that the server has forgotten introduces itself anew", async () => {
    const { url, requests } = await refusing(400, { type: "urn:ietf:params:acme:error:accountDoesNotExist", detail: "no account" }); // prettier-ignore
    const { order, store } = await makeOrders();
    await order(url);
    await store.put({ retryAtMs: 0 });
    await order(url);
    expect(requests).toEqual(["/account", "/order", "/account", "/order"]);
  });

  it("to a server that is away, or does not answer, says so", async () => {
    const { order, orders } = await makeOrders();
    await order("http://127.0.0.1:9/dir");
    expect(orders.trouble()).toContain("ECONNREFUSED");
    const silent = createServer(() => undefined);
    open.push(silent);
    await new Promise<void>((resolve) => silent.listen(0, "127.0.0.1", resolve));
    rmSync(join(dir, "name.json"), { force: true });
    const other = await makeOrders({ acmeTimeoutMs: 200 } as unknown as Partial<typeof AGENT_LIMITS>);
    await other.order(`http://127.0.0.1:${(silent.address() as AddressInfo).port}/dir`);
    expect(other.orders.trouble()).toContain("no certificate within 0.2 s");
    silent.closeAllConnections();
  });
});

describe("a node whose clock is wrong", () => {
  it("hears that it is the clock, with both times, when the ACME server's certificate looks not yet valid", async () => {
    const authority = await makeAuthority();
    const dates = { notBeforeMs: Date.now() + HOUR_MS, notAfterMs: Date.now() + 2 * HOUR_MS };
    const server = createSecure(await authority.issue({ names: ["localhost"], ...dates }), () => undefined);
    open.push(server as unknown as Server);
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    acme.axios.defaults.httpsAgent = new Agent({ ca: authority.ca });
    const clock = new ControlClock();
    clock.hint(Date.now() + 1.5 * HOUR_MS);
    const { order, orders } = await makeOrders({}, clock);
    await order(`https://localhost:${(server.address() as AddressInfo).port}/dir`);
    expect(orders.trouble()).toMatch(
      /not yet valid.*this server's clock says 20.*, the control plane's 20.*: set the clock/,
    );
  });

  it("is told by how much, once the control plane was heard, and not for a second or two", () => {
    const at = (nowMs: number, known = true) => ({ known, nowMs: () => nowMs });
    expect(clockTrouble(at(1_000_000), 60_000, 1_090_000)).toMatch(/90 s ahead of the control plane's/);
    expect(clockTrouble(at(1_000_000), 60_000, 100_000)).toMatch(/900 s behind the control plane's/);
    expect(clockTrouble(at(1_000_000), 60_000, 1_030_000)).toBeNull();
    expect(clockTrouble(at(1_000_000, false), 60_000, 0)).toBeNull();
  });
});
