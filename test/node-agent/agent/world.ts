// A node for tests: the real bundled agent as a process of its own, in a folder of its own, against a protocol peer.
import { type ChildProcess, spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdtempSync, openSync, readFileSync, rmSync } from "node:fs";
import { rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import Docker from "dockerode";
import { pack } from "tar-stream";
import { typeid } from "typeid-js";
import { DesiredInstance } from "../../../contracts/desired.ts";
import { choosePort } from "../../../dev/ports.ts";
import { madeOnce } from "../../../dev/stack/made-once.ts";
import { bundleAgent } from "../../../node-agent/build/bundle-agent.ts";
import { ControlPeer } from "./control-peer.ts";
import { watchStarts } from "./hardened.ts";

export const docker = new Docker();

let bundled: Promise<string> | null = null;
export function agentFile(): Promise<string> {
  const outfile = join(tmpdir(), `berth-agent-${process.pid}.mjs`);
  if (bundled === null) process.once("exit", () => rmSync(outfile, { force: true }));
  bundled ??= madeOnce(process.env.BERTH_KEPT_BUNDLES_DIR, "agent.mjs", outfile, bundleAgent).then(() => outfile);
  return bundled;
}

export interface World {
  readonly peer: ControlPeer;
  readonly dir: string;
  readonly gatewayPort: number;
  readonly logFile: string;
  agent: ChildProcess;
  startAgent(extra?: { token?: string; args?: readonly string[]; environment?: Record<string, string> }): Promise<void>;
  /** Resolves when the process is gone. */
  killAgent(signal: NodeJS.Signals): Promise<void>;
  /** How many containers were looked at as they started: what is wrong with how they are confined is a fault of the peer's. */
  confined(): number;
  close(): Promise<void>;
}

export async function makeWorld(
  runtime: "docker" | "process",
  tuning: Record<string, number> = {},
  start = true,
  /** Such as DOCKER_HOST, for an Engine of one's own. */
  environment: Record<string, string> = {},
  /** A command that runs another one, such as nsenter. */
  within: readonly string[] = [],
): Promise<World> {
  const file = await agentFile();
  const peer = await ControlPeer.start();
  const dir = mkdtempSync(join(tmpdir(), "berth-node-"));
  const gatewayPort = await freePort();
  const logFile = join(dir, "agent.log");
  const engine = environment.DOCKER_HOST?.replace("unix://", "");
  const starts =
    runtime === "docker"
      ? await watchStarts(engine === undefined ? docker : new Docker({ socketPath: engine }), peer)
      : null;
  const world: World = {
    peer,
    dir,
    gatewayPort,
    logFile,
    agent: null as unknown as ChildProcess,
    async startAgent(extra = {}) {
      const out = openSync(logFile, "a");
      const args = ["run", "--dir", dir, "--control", peer.url, "--name", "n1", "--region", "local"];
      args.push("--runtime", runtime, "--gateway-port", String(gatewayPort), "--failure-domain", "rack-1");
      args.push("--outbound-allow", "127.0.0.0/8");
      const [program, ...rest] = [...within, process.execPath, file];
      world.agent = spawn(program, [...rest, ...args, ...(extra.args ?? [])], {
        stdio: ["ignore", out, out],
        env: {
          ...process.env,
          ...environment,
          ...extra.environment,
          BERTH_JOIN_TOKEN: extra.token ?? peer.token,
          BERTH_TUNING: JSON.stringify(tuning),
        },
      });
    },
    confined: () => starts?.seen() ?? 0,
    async killAgent(signal) {
      const { agent } = world;
      if (agent.exitCode !== null || agent.signalCode !== null) return;
      const ended = new Promise((resolve) => agent.once("exit", resolve));
      agent.kill(signal);
      await ended;
    },
    async close() {
      await world.killAgent("SIGKILL");
      await starts?.end();
      await runAgentCommand("purge", dir, environment);
      await peer.close();
      await rm(dir, { recursive: true, force: true });
    },
  };
  if (start) await world.startAgent();
  return world;
}

export async function runAgentCommand(
  command: string,
  dir: string,
  environment: Record<string, string> = {},
): Promise<{ exitCode: number | null; output: string }> {
  const child = spawn(process.execPath, [await agentFile(), command, "--dir", dir], {
    env: { ...process.env, ...environment },
    stdio: ["ignore", "pipe", "pipe"],
  });
  let output = "";
  child.stdout.on("data", (chunk: Buffer) => (output += chunk.toString()));
  child.stderr.on("data", (chunk: Buffer) => (output += chunk.toString()));
  return new Promise((resolve) => child.once("close", (exitCode) => resolve({ exitCode, output })));
}

/**
 * Resolves with what `look` found once it is neither undefined, null nor false; throws with `what` when it takes too long: much longer
 * than on a machine with nothing else to do.
 */
export async function until<Found>(
  what: string | (() => string),
  look: () => Found | Promise<Found>,
  timeoutMs = 45_000,
): Promise<NonNullable<Found>> {
  const untilMs = performance.now() + timeoutMs;
  for (;;) {
    const found = await look();
    if (found !== undefined && found !== null && found !== false) return found;
    if (performance.now() > untilMs)
      throw new Error(`not within ${timeoutMs} ms: ${typeof what === "string" ? what : what()}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

/** By the newest heartbeat, or any that came since: what is told for a moment only is not missed. */
export function untilStatus(world: World, instance: string, kind: string, timeoutMs = 45_000) {
  const { peer } = world;
  let next = Math.max(0, peer.beats.length - 1);
  return until(
    () =>
      `${instance} ${kind}; it is ${JSON.stringify(peer.observed(instance))}\n${readFileSync(world.logFile, "utf8").slice(-1_500)}`,
    () => {
      const rows = peer.beats.slice(next).flatMap(({ request }) => request.observed);
      next = peer.beats.length;
      return rows.findLast((row) => row.instance === instance && row.status.kind === kind);
    },
    timeoutMs,
  );
}

const APP = typeid("app").toString();
const TEAM = typeid("team").toString();

export function desired(over: Record<string, unknown> = {}): DesiredInstance {
  return DesiredInstance.parse({
    instance: typeid("ins").toString(),
    generation: 1,
    app: APP,
    appName: "hello",
    team: TEAM,
    release: typeid("rel").toString(),
    version: 1,
    ordinal: 0,
    intent: "run",
    source: { kind: "image", reference: "berth-test/box:1", digest: null },
    port: 8080,
    resources: { cpuMilli: 500, memoryBytes: 64 * 1024 * 1024, diskBytes: 1024 * 1024, pids: 64 },
    probes: { readiness: { kind: "http", path: "/", periodMs: 100, timeoutMs: 5_000, failureThreshold: 3 } },
    stopGraceMs: 500,
    readOnlyRoot: false,
    hasEnvironment: false,
    privateImage: false,
    ...over,
  });
}

export const HTTPD = ["/bin/busybox", "httpd", "-f", "-p", "8080", "-h", "/www"];
export const shell = (script: string): string[] => ["/bin/busybox", "sh", "-c", script];

/** The image that most tests use: made once per Engine. */
export async function ensureBoxImage(): Promise<void> {
  const tag = "berth-test/box:1";
  const found = await docker
    .getImage(tag)
    .inspect()
    .catch(() => null);
  if (found === null) await makeBoxImage(tag, "hello from a box\n");
}

/** An image FROM scratch with busybox and one page. */
export async function makeBoxImage(tag: string, page: string, engine = docker): Promise<void> {
  const tar = pack();
  tar.entry({ name: "bin/busybox", mode: 0o755 }, readFileSync("/bin/busybox"));
  tar.entry({ name: "bin/sh", type: "symlink", linkname: "/bin/busybox" });
  tar.entry({ name: "tmp", type: "directory", mode: 0o1777 });
  tar.entry({ name: "www/index.html", mode: 0o644 }, page);
  tar.finalize();
  const at = tag.lastIndexOf(":");
  const changes = [`CMD ${JSON.stringify(HTTPD)}`];
  const options = { repo: tag.slice(0, at), tag: tag.slice(at + 1), changes };
  const answer = await engine.importImage(tar as unknown as NodeJS.ReadableStream, options);
  await new Promise((resolve) => engine.modem.followProgress(answer, resolve));
}

/** A gzipped tar of these files, and its hash. */
export async function makeBundle(files: Record<string, string>): Promise<{ hash: string; bytes: Buffer }> {
  const tar = pack();
  for (const [name, content] of Object.entries(files)) tar.entry({ name, mode: 0o644, uid: 1000, gid: 1000 }, content);
  tar.finalize();
  const chunks: Buffer[] = [];
  for await (const chunk of tar) chunks.push(chunk as Buffer);
  const bytes = gzipSync(Buffer.concat(chunks));
  return { bytes, hash: `sha256:${createHash("sha256").update(bytes).digest("hex")}` };
}

export const SERVER_JS = `
const { createServer } = require("node:http");
const server = createServer((request, response) => {
  if (request.url === "/env") return response.end(JSON.stringify(process.env));
  if (request.url === "/exit") { response.end("bye"); console.error("asked to exit"); setTimeout(() => process.exit(7), 10); return; }
  if (request.url === "/eat") { globalThis.eaten = []; setInterval(() => globalThis.eaten.push(Buffer.alloc(8e6, 1)), 20); }
  response.end("hello from a bundle " + process.pid);
});
server.listen(Number(process.env.PORT), () => console.log("listening on", process.env.PORT));
`;

export const freePort = (): Promise<number> => choosePort([]);

export async function networkAnswer(host: string, port: number, path: string): Promise<string> {
  return (await fetch(`http://${host}:${port}${path}`)).text();
}
