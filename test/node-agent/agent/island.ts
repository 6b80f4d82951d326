// A host of a test's own, as far as networks go: an Engine in a network namespace, whose firewall is nobody else's, and around it
// the internet, a private network and a metadata service, in another one.
import { type ChildProcess, execFile, spawn } from "node:child_process";
import { connect, createServer } from "node:net";
import { mkdtempSync } from "node:fs";
import { rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { type OwnEngine, startOwnEngine } from "./own-engine.ts";
import { until } from "./world.ts";

const run = promisify(execFile);

/** The host's own address towards the outside, and what is out there. */
export const HOST = "198.51.100.1";
export const INTERNET = "198.51.100.2";
export const METADATA = "169.254.169.254";
export const PRIVATE = ["10.99.0.1", "172.31.255.1", "192.168.254.1", "100.64.9.9"] as const;
/** Also out there: private, and what the operator allows some of. */
export const ALLOWED = "192.168.254.2";
export const NAME_SERVER = "10.99.0.53";
/** A name that it knows, for INTERNET; it knows no other. */
export const KNOWN_NAME = "shop.example";

const NAMES_SCRIPT = `const p = require("dns-packet"), s = require("node:dgram").createSocket("udp4");
  s.on("message", (message, from) => { const { id, questions } = p.decode(message), [{ name, type }] = questions;
    const known = name.toLowerCase() === "${KNOWN_NAME}", answers = known && type === "A" ? [{ type, name, ttl: 1, data: "${INTERNET}" }] : [];
    const flags = p.RECURSION_AVAILABLE | (known ? 0 : 3);
    s.send(p.encode({ type: "response", id, questions, flags, answers }), from.port, from.address); });
  s.bind(53, "${NAME_SERVER}");`;

export interface Island {
  readonly engine: OwnEngine;
  /** Before a command: it runs on this host. */
  readonly within: readonly string[];
  /** What a command that runs on this host says. Throws where it fails. */
  run(command: string, ...args: string[]): Promise<string>;
  /** The same out there. */
  outside(command: string, ...args: string[]): Promise<string>;
  /** Whether a TCP connection comes about, from this host and from out there. */
  reaches(address: string, port: number): Promise<boolean>;
  reachesFromOutside(address: string, port: number): Promise<boolean>;
  /** Has the host find what listens here on 127.0.0.1 on the same port of its own. */
  relay(port: number): Promise<void>;
  close(): Promise<void>;
}

export async function startIsland({ addressPool = "" } = {}): Promise<Island> {
  const [host, outside] = [`berth-h${process.pid}`, `berth-o${process.pid}`];
  const dir = mkdtempSync(join(tmpdir(), "berth-island-"));
  const within = ["nsenter", `--net=/run/netns/${host}`];
  const away = ["nsenter", `--net=/run/netns/${outside}`];
  const children: ChildProcess[] = [];
  const begin = (command: readonly string[]) => {
    const [program = "", ...args] = command;
    children.push(spawn(program, args, { stdio: "ignore" }));
  };
  const ip = (...args: string[]) => run("ip", args);
  for (const name of [host, outside]) {
    await ip("netns", "add", name);
    await ip("-n", name, "link", "set", "lo", "up");
  }
  await ip("link", "add", "out", "netns", host, "type", "veth", "peer", "name", "in", "netns", outside);
  await ip("-n", host, "addr", "add", `${HOST}/24`, "dev", "out");
  await ip("-n", outside, "addr", "add", `${INTERNET}/24`, "dev", "in");
  await ip("-n", host, "link", "set", "out", "up");
  await ip("-n", outside, "link", "set", "in", "up");
  await ip("-n", host, "route", "add", "default", "via", INTERNET);
  for (const address of [METADATA, ...PRIVATE, ALLOWED, NAME_SERVER]) {
    await ip("-n", outside, "addr", "add", `${address}/32`, "dev", "in");
  }
  for (const port of [25, 53, 80, 8081]) begin([...away, "/bin/busybox", "httpd", "-f", "-p", String(port), "-h", dir]);
  begin([...away, process.execPath, "-e", NAMES_SCRIPT]);
  // A service of the host itself.
  begin([...within, "/bin/busybox", "httpd", "-f", "-p", "9000", "-h", dir]);
  const netns = `/run/netns/${host}`;
  const engine = await startOwnEngine({ netns, addressPool, liveRestore: true, runtimes: ["runsc"] });
  const closers: (() => void)[] = [];
  const island: Island = {
    engine,
    within,
    run: async (...command) => (await run("nsenter", [...within.slice(1), ...command])).stdout,
    outside: async (...command) => (await run("nsenter", [...away.slice(1), ...command])).stdout,
    reaches: (...target) => reaches(within, ...target),
    reachesFromOutside: (...target) => reaches(away, ...target),
    async relay(port) {
      const path = join(dir, `relay-${port}`);
      const server = createServer((socket) => {
        const there = connect(port, "127.0.0.1");
        socket.pipe(there).pipe(socket);
        for (const end of [socket, there]) end.on("error", () => [socket, there].forEach((one) => one.destroy()));
      });
      await new Promise<void>((resolve) => server.listen(path, resolve));
      closers.push(() => server.close());
      const script = `const n = require("node:net"); n.createServer((s) => { const t = n.connect(${JSON.stringify(path)});
        s.pipe(t).pipe(s); for (const e of [s, t]) e.on("error", () => [s, t].forEach((o) => o.destroy())); }).listen(${port}, "127.0.0.1")`;
      begin([...within, process.execPath, "-e", script]);
      await until("the relay listens", () => island.reaches("127.0.0.1", port));
    },
    async close() {
      await engine.close();
      for (const close of closers) close();
      for (const child of children) child.kill("SIGKILL");
      for (const name of [host, outside]) await ip("netns", "del", name);
      await rm(dir, { recursive: true, force: true });
    },
  };
  return island;
}

function reaches(within: readonly string[], address: string, port: number): Promise<boolean> {
  const [program, ...args] = [...within, "/bin/busybox", "nc", "-w", "2", address, String(port), "-e", "/bin/true"];
  return run(program, args).then(
    () => true,
    () => false,
  );
}
