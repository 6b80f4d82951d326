// The agent on a real Docker Engine: starts, ends, hardening, secrets, and what it leaves alone.
import { readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import {
  desired,
  docker,
  ensureBoxImage,
  HTTPD,
  makeWorld,
  networkAnswer,
  shell,
  until,
  untilStatus,
  type World,
} from "./world.ts";

let world: World;
beforeAll(async () => {
  await ensureBoxImage();
  world = await makeWorld("docker", {
    heartbeatMs: 300,
    heartbeatJitterMs: 0,
    stoppedReportMs: 2_000,
    writtenLookMs: 300,
  });
});
afterEach(() => expect(world.peer.faults).toEqual([]));
afterAll(async () => {
  await world.close();
  // Each as it started: see hardened.ts.
  expect(world.confined()).toBeGreaterThan(8);
});

const ours = () => docker.listContainers({ all: true, filters: { label: [`berth.node=${world.peer.node}`] } });
const endpoints = () => JSON.parse(readFileSync(join(world.dir, "endpoints.json"), "utf8"));

test("an instance in the document is started hardened, becomes ready, and is stopped when it is absent", async () => {
  const { peer } = world;
  const wanted = desired({ readOnlyRoot: true });
  peer.publish([wanted], { routes: { [wanted.app]: 3 } });
  const ready = await untilStatus(world, wanted.instance, "ready");
  expect(ready).toMatchObject({ generation: 1, restarts: 0, digest: expect.stringMatching(/^sha256:/) });
  expect(peer.beats.at(-1)?.request.ackRevision).toBe(peer.document.revision);
  expect(endpoints().routes).toEqual({ [wanted.app]: 3 });
  const [row] = endpoints().instances;
  expect(row).toMatchObject({ instance: wanted.instance, state: "serving", port: 8080 });
  const [container] = await ours();
  const info = await docker.getContainer(container!.Id).inspect();
  expect(info.HostConfig).toMatchObject({
    CapDrop: ["ALL"],
    SecurityOpt: ["no-new-privileges"],
    Memory: 64 * 1024 * 1024,
    MemorySwap: 64 * 1024 * 1024,
    CpuPeriod: 20_000,
    CpuQuota: 10_000,
    PidsLimit: 64,
    ReadonlyRootfs: true,
    Privileged: false,
    RestartPolicy: { Name: "no" },
  });
  expect(Object.keys(info.NetworkSettings.Networks)).toEqual([`berth-${peer.node}-${wanted.team}`]);
  expect(info.HostConfig.PortBindings ?? {}).toEqual({});
  expect(await networkAnswer(row.host, row.port, "/")).toBe("hello from a box\n");
  peer.publish([]);
  await untilStatus(world, wanted.instance, "stopped");
  expect(await ours()).toEqual([]);
  await until("its row is gone", () => endpoints().instances.length === 0);
  await until("it is forgotten", () => peer.observed(wanted.instance) === undefined);
});

test("what exits at once is reported with its code and last lines, restarted at once, then backed off", async () => {
  const { peer } = world;
  const script = "i=0; while [ $i -lt 30 ]; do echo line $i; i=$((i+1)); done; echo it hurts >&2; exit 3";
  const wanted = desired({ command: shell(script) });
  peer.publish([wanted]);
  const seen = await until("a third end", () => {
    const row = peer.observed(wanted.instance);
    return row?.status.kind === "backoff" && row.restarts === 2 ? row.status : null;
  });
  expect(seen.failure).toMatchObject({ code: "exited", exitCode: 3 });
  expect(seen.failure.logTail).toHaveLength(20);
  // The Engine reads the two streams side by side: which of the last lines came first is not kept.
  expect(seen.failure.logTail).toEqual(expect.arrayContaining(["it hurts", "line 29", "line 12"]));
  const ends = peer.beats.filter(({ request }) =>
    request.observed.some((row) => row.instance === wanted.instance && row.status.kind === "backoff"),
  );
  // Also the ends after which it was restarted at once were reported.
  expect(new Set(ends.flatMap(({ request }) => request.observed.map(({ restarts }) => restarts)))).toEqual(
    new Set([0, 1, 2]),
  );
  expect((await ours()).length).toBe(1);
  peer.publish([]);
  await untilStatus(world, wanted.instance, "stopped");
});

test("what uses more memory than it may is reported as out of memory", async () => {
  const wanted = desired({
    command: shell("x=$(/bin/busybox head -c 60000000 /dev/zero | /bin/busybox tr '\\0' 'x'); y=$x$x; echo ${#y}"),
    resources: { cpuMilli: 1_000, memoryBytes: 24 * 1024 * 1024, diskBytes: 1024 * 1024, pids: 64 },
  });
  world.peer.publish([wanted]);
  const { status } = await untilStatus(world, wanted.instance, "backoff");
  expect(status).toMatchObject({ failure: { code: "out_of_memory", message: expect.stringContaining("24 MiB") } });
});

test("what writes more than its disk is ended and begins anew, whether it is one file, many or empty ones", async () => {
  const { peer } = world;
  const resources = { cpuMilli: 500, memoryBytes: 64 * 1024 * 1024, diskBytes: 1024 * 1024, pids: 64 };
  const idle = "; exec /bin/busybox httpd -f -p 8080 -h /www";
  const one = desired({ resources, command: shell("dd if=/dev/zero of=/large bs=64k count=64; exit $?") });
  const many = desired({
    resources,
    command: shell(
      `ls / | grep -q spill && echo still here; for i in 1 2 3 4; do dd if=/dev/zero of=/spill$i bs=512k count=1; done${idle}`,
    ),
  });
  const empty = desired({
    resources,
    command: shell(`i=0; while [ $i -lt 4200 ]; do i=$((i+1)); : > /spill$i; done${idle}`),
  });
  peer.publish([one, many, empty]);
  const failureOf = (instance: string) =>
    until(
      () => `${instance} ends; it was ${JSON.stringify(peer.history(instance))}`,
      () => {
        const beats = peer.beats.flatMap(({ request }) => request.observed);
        const ended = beats.find((row) => row.instance === instance && row.status.kind === "backoff");
        return ended?.status.kind === "backoff" ? ended.status.failure : null;
      },
      60_000,
    );
  expect(await failureOf(one.instance)).toMatchObject({
    code: "out_of_disk",
    message: expect.stringContaining("larger"),
  });
  expect(await failureOf(many.instance)).toMatchObject({
    code: "out_of_disk",
    message: expect.stringMatching(/writing [23] MiB to its disk of 1 MiB/),
  });
  expect(await failureOf(empty.instance)).toMatchObject({
    code: "out_of_disk",
    message: expect.stringContaining("files"),
  });
  await until("it was begun anew", () => (peer.observed(many.instance)?.restarts ?? 0) > 0);
  // What was written went with the run that wrote it.
  expect(JSON.stringify(peer.beats)).not.toContain("still here");
});

test("a fork bomb stops at the processes that it may have", async () => {
  const resources = { cpuMilli: 500, memoryBytes: 64 * 1024 * 1024, diskBytes: 1024 * 1024, pids: 32 };
  // Whoever can fork no more ends. So what one shell forks stays and holds the limit; bombs that double all end when they meet it at once.
  const bomb = "( while :; do /bin/busybox sleep 600 & done ) 2>/dev/null & exec /bin/busybox httpd -f -p 8080 -h /www";
  const [wanted, neighbour] = [desired({ resources, command: shell(bomb) }), desired({ resources })];
  world.peer.publish([wanted, neighbour]);
  await untilStatus(world, neighbour.instance, "ready");
  const container = await until("it runs", async () =>
    (await ours()).find(({ Labels }) => Labels["berth.instance"] === wanted.instance),
  );
  let most = 0;
  await until(
    () => `it has all that it may; it had ${most}`,
    async () => {
      const stats = await docker.getContainer(container.Id).stats({ stream: false, "one-shot": true });
      most = Math.max(most, stats.pids_stats?.current ?? 0);
      return most >= 30;
    },
  );
  expect(most).toBeLessThanOrEqual(32);
  expect(world.peer.observed(neighbour.instance)).toMatchObject({ restarts: 0, status: { kind: "ready" } });
});

test("a command that is not there fails for good, with the Engine's words", async () => {
  const wanted = desired({ command: ["/no/such/program"] });
  world.peer.publish([wanted]);
  const { status } = await untilStatus(world, wanted.instance, "failed");
  expect(status).toMatchObject({
    failure: { code: "start_failed", message: expect.stringContaining("/no/such/program") },
  });
  world.peer.publish([]);
  await untilStatus(world, wanted.instance, "stopped");
  await until("no container is left", async () => (await ours()).length === 0);
});

test("an environment reaches the container and nothing else of the node", async () => {
  const { peer } = world;
  const wanted = desired({ hasEnvironment: true });
  const secret = `s3cret-${"x".repeat(20)}-${Date.now()}`;
  peer.environments.set(wanted.instance, { API_KEY: secret });
  peer.publish([wanted]);
  await untilStatus(world, wanted.instance, "ready");
  const [container] = await ours();
  const { Config } = await docker.getContainer(container!.Id).inspect();
  expect(Config.Env).toEqual(
    expect.arrayContaining([`API_KEY=${secret}`, "PORT=8080", `BERTH_INSTANCE=${wanted.instance}`]),
  );
  expect(filesWith(world.dir, secret)).toEqual([]);
  expect(readFileSync(`/proc/${world.agent.pid}/cmdline`, "utf8")).not.toContain(secret);
});

test("an orphan that carries this node's label and is in no document is stopped", async () => {
  const stray = desired();
  const labels = { node: world.peer.node, instance: stray.instance, generation: "1", app: stray.app, team: stray.team };
  const named = Object.entries({ ...labels, release: stray.release, port: "8080" }).map(([name, value]) => [
    `berth.${name}`,
    value,
  ]);
  await world.killAgent("SIGKILL");
  const container = await docker.createContainer({
    Image: "berth-test/box:1",
    Cmd: HTTPD,
    // As the first process of its container it does not hear SIGTERM: its end is what counts here, not the Engine's patience.
    StopSignal: "SIGKILL",
    Labels: Object.fromEntries(named),
  });
  await container.start();
  await world.startAgent();
  await until("the orphan is gone", async () => !(await ours()).some(({ Id }) => Id === container.id));
});

test("readiness that is lost is reported and comes back; a lost liveness restarts", async () => {
  const { peer } = world;
  const probe = { kind: "http", path: "/ok", periodMs: 100, timeoutMs: 5_000, failureThreshold: 2 };
  const script = "mkdir -p /tmp/w; echo ok >/tmp/w/ok; exec /bin/busybox httpd -f -p 8080 -h /tmp/w";
  const wanted = desired({ command: shell(script), probes: { readiness: probe } });
  const alive = desired({
    command: shell(script),
    probes: { readiness: probe, liveness: { ...probe, failureThreshold: 3 } },
  });
  peer.publish([wanted, alive]);
  await untilStatus(world, wanted.instance, "ready");
  await untilStatus(world, alive.instance, "ready");
  await inContainer(wanted.instance, ["/bin/busybox", "mv", "/tmp/w/ok", "/tmp/w/no"]);
  await untilStatus(world, wanted.instance, "unready");
  await inContainer(wanted.instance, ["/bin/busybox", "mv", "/tmp/w/no", "/tmp/w/ok"]);
  await untilStatus(world, wanted.instance, "ready");
  expect(peer.observed(wanted.instance)?.restarts).toBe(0);
  await inContainer(alive.instance, ["/bin/busybox", "rm", "/tmp/w/ok"]);
  await until("a liveness failure", () => JSON.stringify(peer.beats).includes("liveness_failed"));
  await until(
    "ready again",
    () => peer.observed(alive.instance)?.status.kind === "ready" && peer.observed(alive.instance)?.restarts === 1,
  );
});

test("one that never becomes ready within its startup budget fails with its last lines", async () => {
  const startup = { kind: "tcp", periodMs: 200, timeoutMs: 200, failureThreshold: 3 };
  const wanted = desired({ command: shell("echo waiting for nothing; sleep 100"), probes: { startup } });
  world.peer.publish([wanted]);
  const { status } = await untilStatus(world, wanted.instance, "failed");
  expect(status).toMatchObject({ failure: { code: "never_ready", logTail: ["waiting for nothing"] } });
});

test("a container that somebody removed is made anew", async () => {
  const wanted = desired();
  world.peer.publish([wanted]);
  await untilStatus(world, wanted.instance, "ready");
  // The test before may still be stopping its own.
  const its = async () => (await ours()).filter(({ Labels }) => Labels["berth.instance"] === wanted.instance);
  const [before] = await its();
  await docker.getContainer(before!.Id).remove({ force: true });
  await until("another container", async () =>
    (await its()).some(({ Id, State }) => Id !== before!.Id && State === "running"),
  );
  await until("it is ready again", () => (world.peer.observed(wanted.instance)?.restarts ?? 0) > 0);
  await untilStatus(world, wanted.instance, "ready");
});

async function inContainer(instance: string, command: string[]): Promise<void> {
  const found = await docker.listContainers({ filters: { label: [`berth.instance=${instance}`] } });
  const exec = await docker.getContainer(found[0]!.Id).exec({ Cmd: command, AttachStdout: true });
  const stream = await exec.start({});
  stream.resume();
  await new Promise((resolve) => stream.on("end", resolve));
}

/** The files that hold this text, from a look in which every file that was listed could be read. */
function filesWith(folder: string, text: string): string[] {
  for (let look = 1; ; look += 1) {
    try {
      return filesUnder(folder).filter((path) => readFileSync(path).includes(text));
    } catch (error) {
      // The agent renamed one after it was listed: the next look finds it under its new name.
      if ((error as NodeJS.ErrnoException).code !== "ENOENT" || look === 100) throw error;
    }
  }
}

function filesUnder(folder: string): string[] {
  return readdirSync(folder, { recursive: true, encoding: "utf8" })
    .map((name) => join(folder, name))
    .filter((path) => statSync(path).isFile());
}
