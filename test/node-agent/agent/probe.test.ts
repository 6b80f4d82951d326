// A probe whose first packet is lost: it must not wait for the second that passes until the packet is sent again.
import { execFileSync } from "node:child_process";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { afterAll, beforeAll, expect, test } from "vitest";
import { Probe } from "../../../contracts/release.ts";
import { probe } from "../../../node-agent/agent/supervise/probe.ts";

/** A network in which nobody is: packets to .2 get no answer of any kind. */
const bridge = `bp${process.pid}`;
const subnet = `10.198.${process.pid % 256}`;
beforeAll(() => {
  execFileSync("ip", ["link", "add", bridge, "type", "bridge"]);
  execFileSync("ip", ["addr", "add", `${subnet}.1/30`, "dev", bridge]);
  execFileSync("ip", ["link", "set", bridge, "up"]);
});
afterAll(() => execFileSync("ip", ["link", "del", bridge]));

const { signal } = new AbortController();
const kinds = [Probe.parse({ kind: "http", path: "/" }), Probe.parse({ kind: "tcp" })];

test.each(kinds)("of kind $kind gives up a connection that is not there within 200 ms", async (how) => {
  let quickestMs = Infinity;
  // A machine under load makes any of them late: the packet would be sent again in each.
  for (let times = 0; times < 20 && quickestMs >= 900; times += 1) {
    const startedMs = performance.now();
    const fault = await probe(how, { host: `${subnet}.2`, port: 80, signal, connectWithinMs: 200 });
    expect(fault).toContain("not accepted within 200 ms");
    quickestMs = Math.min(quickestMs, performance.now() - startedMs);
  }
  expect(quickestMs).toBeLessThan(900);
});

test("waits for the answer of an instance that accepted at once, for as long as the probe says", async () => {
  const server = createServer((_request, response) => setTimeout(() => response.end(), 6_000));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  const how = Probe.parse({ kind: "http", path: "/", timeoutMs: 60_000 });
  expect(await probe(how, { host: "127.0.0.1", port, signal, connectWithinMs: 5_000 })).toBeNull();
  server.close();
});
