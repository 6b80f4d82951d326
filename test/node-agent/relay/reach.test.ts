// The ways to a node: what the options take, and a cloudflared of the operator's that is kept running without the agent.
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { Cloudflared, endCloudflared } from "../../../node-agent/agent/reach/cloudflared.ts";
import type { ReachPorts } from "../../../node-agent/agent/reach/reach.ts";
import { readCommand } from "../../../node-agent/agent/options.ts";
import { ProcessId, signal } from "../../../node-agent/agent/state/process-id.ts";
import { until } from "../agent/world.ts";

describe("--reach", () => {
  const read = (...more: string[]) => {
    const command = readCommand(["run", "--dir", "d", "--control", "http://c.example", "--name", "n", ...more], {});
    return command.kind === "run" ? command.options : null;
  };
  const tunnel = ["--reach", "cloudflared", "--cloudflared-token-file", "/t", "--gateway-url", "https://n.example"];

  test("is direct where nobody says otherwise; behind a relay nobody is told of an address", () => {
    expect(read()?.reach).toEqual({ kind: "direct" });
    const behind = read("--reach", "relay", "--gateway-host", "192.0.2.7", "--gateway-port", "7071");
    expect(behind).toMatchObject({ reach: { kind: "relay" }, naming: { kind: "operator" } });
    expect(behind?.gatewayUrl).toBe("http://behind-a-relay.invalid:7071");
    expect(read(...tunnel)).toMatchObject({
      reach: { kind: "cloudflared", tokenFile: "/t" },
      gatewayUrl: "https://n.example",
    });
  });

  test.each<[string[], RegExp]>([
    [["--reach", "tunnel"], /--reach/],
    [["--reach", "relay", "--gateway-url", "http://x.example"], /its relays say where the node is reached/],
    [["--reach", "relay", "--public-address", "192.0.2.7"], /leave --gateway-url and --public-address out/],
    [["--reach", "cloudflared", "--gateway-url", "https://n.example"], /needs --cloudflared-token-file/],
    [["--reach", "cloudflared", "--cloudflared-token-file", "/t"], /and --gateway-url/],
    [["--cloudflared-token-file", "/t"], /is for --reach cloudflared/],
  ])("%j is refused by name", (options, words) => {
    expect(() => read(...options)).toThrow(words);
  });
});

describe("an operator's cloudflared", () => {
  let home: string;
  let ports: ReachPorts;
  const path = process.env.PATH;
  /** A program of that name with its arguments, its environment and its `/ready`; the tunnel itself is Cloudflare's. */
  const PROGRAM = `#!/usr/bin/env node
    const { createServer } = require("node:http");
    const { existsSync, writeFileSync } = require("node:fs");
    writeFileSync(process.env.HOME + "/seen.json", JSON.stringify({ args: process.argv.slice(2), token: process.env.TUNNEL_TOKEN }));
    const port = Number(process.argv[process.argv.indexOf("--metrics") + 1].split(":")[1]);
    createServer((request, answer) => {
      answer.writeHead(request.url === "/ready" && existsSync(process.env.HOME + "/connected") ? 200 : 503).end();
    }).listen(port, "127.0.0.1");
  `;
  beforeAll(() => {
    home = mkdtempSync(join(tmpdir(), "berth-reach-"));
    mkdirSync(join(home, "bin"));
    writeFileSync(join(home, "token"), "secret-of-the-tunnel\n");
    const log = { info: () => undefined, warn: () => undefined, error: () => undefined };
    ports = { dir: home, log } as unknown as ReachPorts;
  });
  afterAll(async () => {
    process.env.PATH = path;
    await endCloudflared(home);
    rmSync(home, { recursive: true, force: true });
  });
  const running = () => ProcessId.parse(JSON.parse(readFileSync(join(home, "cloudflared.json"), "utf8")).process);
  const troubleOf = async (child: Cloudflared) => {
    await child.look();
    return child.trouble;
  };

  test("that is not installed is said to be missing", async () => {
    process.env.PATH = join(home, "bin");
    expect(await troubleOf(new Cloudflared(join(home, "token"), ports))).toContain("it is not installed");
    process.env.PATH = `${join(home, "bin")}:${path}`;
  });

  test("is started with its token in no argument, ready when it is connected, and taken over by the next agent", async () => {
    writeFileSync(join(home, "bin/cloudflared"), PROGRAM);
    chmodSync(join(home, "bin/cloudflared"), 0o755);
    const child = new Cloudflared(join(home, "token"), ports);
    await until(
      "it is asked",
      async () => (await troubleOf(child))?.includes("no connection to Cloudflare (503)") === true,
    );
    const seen = JSON.parse(readFileSync(join(home, "seen.json"), "utf8")) as { args: string[]; token: string };
    expect(seen.args).toEqual([
      "tunnel",
      "--no-autoupdate",
      "--metrics",
      expect.stringMatching(/^127\.0\.0\.1:\d+$/),
      "run",
    ]);
    expect(seen.token).toBe("secret-of-the-tunnel");
    expect(readFileSync(join(home, "cloudflared.json"), "utf8")).not.toContain("secret");
    writeFileSync(join(home, "connected"), "");
    expect(await troubleOf(child)).toBeNull();
    const before = running();
    expect(await troubleOf(new Cloudflared(join(home, "token"), ports))).toBeNull();
    expect(running()).toEqual(before);
  });

  test("is started again when it dies, and ended with the node", async () => {
    const child = new Cloudflared(join(home, "token"), ports);
    const before = running();
    await signal(before, "SIGKILL");
    await until("another one runs", async () => (await troubleOf(child)) === null && running().pid !== before.pid);
    await endCloudflared(home);
    expect(existsSync(join(home, "cloudflared.json"))).toBe(false);
  });
});
