// What others wrote reaches a terminal without the characters that terminals obey.
import { mkdtempSync, rmSync } from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { jsonText, plain } from "../../cli/plain-text.ts";
import { runBerth } from "./run-berth.ts";

const EVIL = "rack\u001b]0;owned\u0007-\u009b31m1\u202e";
const HARMLESS = "rack]0;owned-31m1";
const AMOUNTS = { cpuMilli: 1, memoryBytes: 1, diskBytes: 1, pids: 1 };
const NODE = {
  ...{ id: "node_01jzzzzzzze0a0000000000001", name: "node-1", cell: "lab.0", region: "lab", failureDomain: EVIL },
  ...{ labels: {}, phase: "ready", cordoned: false, conditions: [], drain: null, runtime: "docker", platform: EVIL },
  ...{ agentVersion: EVIL, gatewayUrl: "http://node-1:1", capacity: AMOUNTS, reserved: AMOUNTS, instances: 0 },
  ...{ revision: 1, ackRevision: 1, lastHeartbeatAtMs: null, enrolledAtMs: 1 },
};
const PROBLEM = { type: "about:blank", title: "x", status: 404, detail: EVIL, code: "not_found", requestId: "r" };

let server: Server;
let cwd = "";
let api = "";
beforeAll(async () => {
  cwd = mkdtempSync(join(tmpdir(), "berth-cli-"));
  server = createServer((request, response) => {
    const found = request.url?.startsWith("/v1/nodes?") || request.url === "/v1/nodes";
    response.statusCode = found ? 200 : 404;
    response.end(JSON.stringify(found ? { items: [NODE], nextCursor: null } : PROBLEM));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  api = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});
afterAll(() => {
  server.close();
  rmSync(cwd, { recursive: true, force: true });
});

describe("a field with escape sequences", () => {
  test("is printed without them in a table", async () => {
    const ran = await runBerth(["nodes", "ls", "--api", api], { cwd, env: { BERTH_TOKEN: "t" } });
    expect(ran).toMatchObject({ exitCode: 0, stderr: "" });
    expect(ran.stdout).toContain(HARMLESS);
    expect(ran.stdout).not.toMatch(/[\u001b\u0007\u009b\u202e]/);
  });

  test("is the same text to programs, escaped", async () => {
    const ran = await runBerth(["nodes", "ls", "--json", "--api", api], { cwd, env: { BERTH_TOKEN: "t" } });
    expect(ran.stdout).not.toMatch(/[\u001b\u0007\u009b\u202e]/);
    expect(JSON.parse(ran.stdout)).toMatchObject([{ failureDomain: EVIL }]);
  });

  test("is harmless in what a command failed of", async () => {
    const ran = await runBerth(["nodes", "cordon", "node-2", "--api", api], { cwd, env: { BERTH_TOKEN: "t" } });
    expect(ran.exitCode).toBe(4);
    expect(ran.stderr).toContain(HARMLESS);
    expect(ran.stderr).not.toMatch(/[\u001b\u0007\u009b\u202e]/);
  });
});

describe("plain text", () => {
  test("keeps lines, tabs, other writing and what is no text, and cleans names of fields too", () => {
    const value = { "a\u0000b": ["line\r\n\tnext", "naïve שלום", 1, null, true] };
    expect(plain(value)).toEqual({ ab: ["line\n\tnext", "naïve שלום", 1, null, true] });
  });

  test("as JSON is parsed to what it was", () => {
    const value = { text: "\u0000\u007f\u0085\u2067\n" };
    expect(jsonText(value, 2)).not.toMatch(/[\u0000\u007f\u0085\u2067]/);
    expect(JSON.parse(jsonText(value, 2))).toEqual(value);
  });
});
