// The process runtime: real detached processes, for machines without an Engine.
import { existsSync, readFileSync, rmSync, statSync } from "node:fs";
import { createHash } from "node:crypto";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { readStat } from "../../../node-agent/agent/state/process-id.ts";
import {
  desired,
  freePort,
  makeBundle,
  makeWorld,
  networkAnswer,
  SERVER_JS,
  until,
  untilStatus,
  type World,
} from "./world.ts";

let world: World;
let hash: string;
beforeAll(async () => {
  world = await makeWorld("process", { memoryWatchMs: 100, logFileBytesMax: 20_000 });
  const bundle = await makeBundle({ "index.js": SERVER_JS });
  hash = bundle.hash;
  world.peer.bundles.set(hash, bundle.bytes);
});
afterEach(() => expect(world.peer.faults).toEqual([]));
afterAll(() => world.close());

const bundled = (over: Record<string, unknown> = {}) => desired({ source: { kind: "bundle", hash }, ...over });
const record = (instance: string) =>
  JSON.parse(readFileSync(join(world.dir, "instances", instance, "run.json"), "utf8"));
const row = (instance: string) => {
  const { instances } = JSON.parse(readFileSync(join(world.dir, "endpoints.json"), "utf8"));
  return instances.find((at: { instance: string }) => at.instance === instance);
};

test("a bundle runs as a detached process on a port of its own, with its environment, and ends with the document", async () => {
  const { peer } = world;
  const [one, two] = [bundled({ hasEnvironment: true }), bundled()];
  peer.environments.set(one.instance, { COLOUR: "blue" });
  peer.publish([one, two]);
  await untilStatus(world, one.instance, "ready");
  await untilStatus(world, two.instance, "ready");
  expect(peer.observed(one.instance)?.digest).toBe(hash);
  const { host, port } = row(one.instance);
  expect(host).toBe("127.0.0.1");
  expect(port).not.toBe(row(two.instance).port);
  const environment = JSON.parse(await networkAnswer(host, port, "/env"));
  expect(environment).toMatchObject({ COLOUR: "blue", PORT: String(port), BERTH_APP: "hello", BERTH_NODE: peer.node });
  expect(JSON.parse(await networkAnswer("127.0.0.1", row(two.instance).port, "/env")).COLOUR).toBeUndefined();
  expect(environment.BERTH_TUNING).toBeUndefined();
  const { pid } = record(one.instance).process;
  expect(await readStat(pid)).toMatchObject({ session: pid });
  peer.publish([two]);
  await untilStatus(world, one.instance, "stopped");
  expect(await readStat(pid)).toBeNull();
});

test("after kill -9 of the agent the same process is adopted; one that ends meanwhile is started again", async () => {
  const { peer } = world;
  const [stays, dies] = [bundled(), bundled()];
  peer.publish([stays, dies]);
  await untilStatus(world, stays.instance, "ready");
  await untilStatus(world, dies.instance, "ready");
  const before = record(stays.instance).process;
  await world.killAgent("SIGKILL");
  process.kill(record(dies.instance).process.pid, "SIGKILL");
  peer.beats.length = 0;
  await world.startAgent();
  await until("the dead one is back", () => peer.observed(dies.instance)?.status.kind === "ready");
  expect(peer.observed(dies.instance)?.restarts).toBe(1);
  expect(peer.history(stays.instance)).toEqual(["ready"]);
  expect(record(stays.instance).process).toEqual(before);
  // An adopted process is no child of the new agent: its end is noticed all the same.
  process.kill(before.pid, "SIGKILL");
  await until(
    "the adopted one is back",
    () => peer.observed(stays.instance)?.restarts === 1 && peer.observed(stays.instance)?.status.kind === "ready",
  );
});

test("a process that nobody recorded is ended: its own mark tells whose it was", async () => {
  const { peer } = world;
  const wanted = bundled();
  peer.publish([wanted]);
  await untilStatus(world, wanted.instance, "ready");
  const { pid } = record(wanted.instance).process;
  await world.killAgent("SIGKILL");
  rmSync(join(world.dir, "instances", wanted.instance, "run.json"));
  peer.beats.length = 0;
  await world.startAgent();
  await untilStatus(world, wanted.instance, "ready");
  expect(await readStat(pid)).toBeNull();
  expect(record(wanted.instance).process.pid).not.toBe(pid);
});

test("a host port that the app listens on is given as it is, also to its next run", async () => {
  const { peer } = world;
  const port = await freePort();
  const wanted = bundled({ port, hostPorts: [port] });
  peer.publish([wanted]);
  await untilStatus(world, wanted.instance, "ready");
  expect(row(wanted.instance).port).toBe(port);
  expect(await networkAnswer("127.0.0.1", port, "/")).toContain("hello");
  process.kill(record(wanted.instance).process.pid, "SIGKILL");
  await until(
    "it is back",
    () => peer.observed(wanted.instance)?.restarts === 1 && peer.observed(wanted.instance)?.status.kind === "ready",
  );
  expect(await networkAnswer("127.0.0.1", port, "/")).toContain("hello");
});

test("the gateway's own port is given to no instance, not even while nobody listens on it", async () => {
  const { peer, gatewayPort } = world;
  const wanted = bundled({ port: gatewayPort, hostPorts: [gatewayPort] });
  peer.publish([wanted]);
  const { status } = await untilStatus(world, wanted.instance, "failed");
  const message = `port ${gatewayPort} of this node is its gateway's: no instance can have it`;
  expect(status).toMatchObject({ failure: { code: "start_failed", message } });
});

test("an exit is reported with its code and last lines", async () => {
  const { peer } = world;
  const wanted = bundled();
  peer.publish([wanted]);
  await untilStatus(world, wanted.instance, "ready");
  await networkAnswer("127.0.0.1", row(wanted.instance).port, "/exit");
  const failure = await until("its failure", () => {
    const status = peer.beats
      .flatMap(({ request }) => request.observed)
      .find((at) => at.instance === wanted.instance && at.status.kind === "backoff")?.status;
    return status?.kind === "backoff" ? status.failure : null;
  });
  expect(failure).toMatchObject({ code: "exited", exitCode: 7, logTail: expect.arrayContaining(["asked to exit"]) });
  await until("it is back", () => peer.observed(wanted.instance)?.status.kind === "ready");
});

test("a process tree that outgrows its memory is ended and reported as out of memory", async () => {
  const { peer } = world;
  const wanted = bundled({
    resources: { cpuMilli: 500, memoryBytes: 160 * 1024 * 1024, diskBytes: 1024 * 1024, pids: 64 },
  });
  peer.publish([wanted]);
  await untilStatus(world, wanted.instance, "ready");
  await networkAnswer("127.0.0.1", row(wanted.instance).port, "/eat");
  await until("out of memory", () => JSON.stringify(peer.beats).includes("out_of_memory"));
  await until("it is back", () => peer.observed(wanted.instance)?.status.kind === "ready");
});

test("an image, a foreign hash and a path out of the bundle are refused with the reason", async () => {
  const { peer } = world;
  const evil = await makeBundle({ "../../escaped.js": "1" });
  peer.bundles.set(evil.hash, evil.bytes);
  const forged = `sha256:${"0".repeat(64)}`;
  peer.bundles.set(forged, evil.bytes);
  const rubbish = Buffer.from("neither gzip nor tar");
  const rubbishHash = `sha256:${createHash("sha256").update(rubbish).digest("hex")}`;
  peer.bundles.set(rubbishHash, rubbish);
  const broken = bundled({ source: { kind: "bundle", hash: rubbishHash } });
  const image = desired();
  const [escaping, foreign] = [
    bundled({ source: { kind: "bundle", hash: evil.hash } }),
    bundled({ source: { kind: "bundle", hash: forged } }),
  ];
  peer.publish([image, escaping, foreign, broken]);
  expect((await untilStatus(world, image.instance, "failed")).status).toMatchObject({
    failure: { code: "start_failed" },
  });
  for (const [instance, why] of [
    [escaping.instance, "leads out of the bundle"],
    [foreign.instance, "its hash is sha256:"],
    [broken.instance, "header"],
  ] as const) {
    const { status } = await untilStatus(world, instance, "backoff");
    expect(status).toMatchObject({ failure: { code: "bundle_unavailable", message: expect.stringContaining(why) } });
  }
});

test("its output is kept as lines in two bounded files, and the raw file is cut", async () => {
  const { peer } = world;
  const noisy = await makeBundle({
    "index.js": `${SERVER_JS}\nlet n = 0; setInterval(() => { for (let i = 0; i < 20; i++) console.log("line", n++, "x".repeat(50)); }, 10);`,
  });
  peer.bundles.set(noisy.hash, noisy.bytes);
  const wanted = bundled({ source: { kind: "bundle", hash: noisy.hash } });
  peer.publish([wanted]);
  await untilStatus(world, wanted.instance, "ready");
  const path = join(world.dir, "logs", wanted.instance, "current.ndjson");
  await until("a rotated file", () => existsSync(`${path}.1`));
  await new Promise((resolve) => setTimeout(resolve, 1_500));
  // The current file is named so as soon as its first line comes.
  const [older, newer] = await until("both files", () => {
    try {
      return [readFileSync(`${path}.1`, "utf8"), readFileSync(path, "utf8")] as const;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
      return null;
    }
  });
  expect(older.length).toBeLessThanOrEqual(20_000);
  expect(newer.length).toBeLessThanOrEqual(20_000);
  const numbers = `${older}${newer}`
    .split("\n")
    .filter((text) => text.includes('"line '))
    .map((text) => Number(/"line (\d+)/.exec(text)?.[1]));
  expect(numbers.length).toBeGreaterThan(50);
  expect(numbers).toEqual([...numbers].sort((a, b) => a - b));
  const newestLine = () =>
    Number(/"line (\d+)(?!.*"line )/s.exec(existsSync(path) ? readFileSync(path, "utf8") : "")?.[1]);
  await until("much is printed", () => newestLine() > 6_000);
  const raw = join(world.dir, "instances", wanted.instance, "stdout.log");
  await until("the raw file is small", () => statSync(raw).size < 200_000);
});
