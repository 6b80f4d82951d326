// One-off instances, with both runtimes: run once, asked nothing, never routed; how they ended is kept until it is not wanted any more.
import { existsSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import type { DesiredInstance } from "../../../contracts/desired.ts";
import { readStat } from "../../../node-agent/agent/state/process-id.ts";
import {
  desired,
  docker,
  ensureBoxImage,
  makeBundle,
  makeWorld,
  shell,
  until,
  untilStatus,
  type World,
} from "./world.ts";

const RUNTIMES = ["process", "docker"] as const;
/** Of one that outlives an agent: long enough that the agent is dead well before it is over. */
const JOB_MS = 24_000;
const homes = new Map<string, JobHome>();
beforeAll(async () => {
  await ensureBoxImage();
  for (const runtime of RUNTIMES) homes.set(runtime, await JobHome.make(runtime));
});
afterEach(() => expect([...homes.values()].flatMap(({ world }) => world.peer.faults)).toEqual([]));
afterAll(() => Promise.all([...homes.values()].map(({ world }) => world.close())));

const each = (name: string, run: (home: JobHome) => Promise<void>) =>
  test.each(RUNTIMES)(`${name} (%s)`, (runtime) => run(homes.get(runtime)!));

/** A node for one-off instances. */
class JobHome {
  readonly runtime: (typeof RUNTIMES)[number];
  readonly world: World;
  readonly #hash: string;

  private constructor(runtime: (typeof RUNTIMES)[number], world: World, hash: string) {
    this.runtime = runtime;
    this.world = world;
    this.#hash = hash;
  }

  static async make(runtime: (typeof RUNTIMES)[number]): Promise<JobHome> {
    const world = await makeWorld(runtime, { heartbeatMs: 200, stoppedReportMs: 500 });
    const { hash, bytes } = await makeBundle({ "index.js": "" });
    world.peer.bundles.set(hash, bytes);
    return new JobHome(runtime, world, hash);
  }

  readonly job = (script: string, over: Record<string, unknown> = {}, timeoutMs = 60_000): DesiredInstance => {
    const source = this.runtime === "process" ? { source: { kind: "bundle", hash: this.#hash } } : {};
    return desired({ ...source, command: shell(script), job: { timeoutMs }, ...over });
  };
  readonly row = (at: DesiredInstance) => {
    const { instances } = JSON.parse(readFileSync(join(this.world.dir, "endpoints.json"), "utf8"));
    return instances.find((one: { instance: string }) => one.instance === at.instance);
  };
  readonly lines = (at: DesiredInstance): string[] => {
    const path = this.row(at)?.logPath;
    const text = path !== undefined && existsSync(path) ? readFileSync(path, "utf8") : "";
    return text.split("\n").flatMap((line) => (line === "" ? [] : [JSON.parse(line).line as string]));
  };
  readonly runsOf = (at: DesiredInstance) => this.lines(at).filter((line) => line === "it runs").length;

  /** Tells one that was begun with `UNTIL_TOLD` to end; resolves when it has. */
  readonly tellToEnd = async (at: DesiredInstance): Promise<void> => {
    if (this.runtime === "docker") {
      const [found] = await docker.listContainers({ filters: { label: [`berth.instance=${at.instance}`] } });
      const container = docker.getContainer(found!.Id);
      await container.kill({ signal: "SIGUSR1" });
      await until("the container's end", async () => !(await container.inspect()).State.Running);
      return;
    }
    const { process: of } = JSON.parse(
      readFileSync(join(this.world.dir, "instances", at.instance, "run.json"), "utf8"),
    );
    process.kill(of.pid, "SIGUSR1");
    await until("the process's end", async () => (await readStat(of.pid)) === null);
  };
}

/** Runs for as long as the test likes, and ends well: how fast the machine is decides nothing. */
const UNTIL_TOLD = `trap 'echo "and is $COLOUR"; exit 0' USR1; echo "it runs"; while true; do sleep 0.1; done`;

each(
  "a one-off instance has its environment, ends as stopped with 0, is never ready nor routed, and leaves with the document",
  async ({ world, job, row, lines, runsOf, tellToEnd }) => {
    const { peer } = world;
    const one = job(UNTIL_TOLD, { hasEnvironment: true });
    peer.environments.set(one.instance, { COLOUR: "blue" });
    peer.publish([one]);
    await untilStatus(world, one.instance, "starting");
    await until("its row", () => row(one)?.state === "starting");
    await until("its first line", () => runsOf(one) === 1);
    await tellToEnd(one);
    const ended = await untilStatus(world, one.instance, "stopped");
    expect(ended).toMatchObject({ status: { exitCode: 0 }, restarts: 0, generation: 1 });
    expect(peer.history(one.instance).filter((kind) => !["pending", "pulling"].includes(kind))).toEqual([
      "starting",
      "stopped",
    ]);
    expect(row(one).state).toBe("starting");
    await until("its last line", () => lines(one).includes("and is blue"));
    expect(lines(one)).toContain("it runs");
    // It is not begun again by another revision, nor by time.
    peer.publish([one]);
    const { revision } = peer.document;
    await until("the next revision", () => peer.beats.at(-1)?.request.ackRevision === revision);
    expect([peer.observed(one.instance)?.status.kind, runsOf(one)]).toEqual(["stopped", 1]);
    peer.publish([]);
    await until("it is forgotten", () => peer.observed(one.instance) === undefined);
    expect(row(one)).toBeUndefined();
  },
);

each(
  "a one-off instance that ends otherwise has failed, with its exit code and last lines, and is not tried again",
  async ({ world, job, runsOf }) => {
    const { peer } = world;
    const one = job('echo "it runs"; echo "the table is locked" >&2; exit 3');
    peer.publish([one]);
    const { status, restarts } = await untilStatus(world, one.instance, "failed");
    expect(status).toMatchObject({ failure: { code: "exited", exitCode: 3 } });
    expect(status.kind === "failed" && status.failure.logTail).toContain("the table is locked");
    expect(peer.history(one.instance)).not.toContain("backoff");
    await new Promise((resolve) => setTimeout(resolve, 1_500));
    expect([restarts, runsOf(one), peer.observed(one.instance)?.status.kind]).toEqual([0, 1, "failed"]);
    peer.publish([]);
    await until("it is forgotten", () => peer.observed(one.instance) === undefined);
  },
);

each("a one-off instance is ended at its time-out, and says so", async ({ world, job, runsOf }) => {
  const { peer } = world;
  const one = job('echo "it runs"; trap "" TERM; while true; do sleep 0.1; done', {}, 1_500);
  peer.publish([one]);
  const { status } = await untilStatus(world, one.instance, "failed");
  expect(status).toMatchObject({
    failure: { code: "timed_out", message: "it was ended after 1.5 s, its time-out" },
  });
  expect(runsOf(one)).toBe(1);
  peer.publish([]);
});

each("a one-off instance that cannot be started has failed for that", async ({ world, job }) => {
  const one = job("", { command: ["/no/such/program"] });
  world.peer.publish([one]);
  const { status } = await untilStatus(world, one.instance, "failed");
  expect(status).toMatchObject({ failure: { code: "start_failed" } });
  world.peer.publish([]);
});

each(
  "a one-off instance goes on while its agent is away, has the rest of its time, and is not run twice",
  async ({ world, job, runsOf }) => {
    const { peer } = world;
    const one = job('echo "it runs"; sleep 60', {}, JOB_MS);
    const over = job('echo "it runs"; exit 5');
    peer.publish([one, over]);
    const [{ sinceMs }] = await Promise.all([
      untilStatus(world, one.instance, "starting"),
      untilStatus(world, over.instance, "failed"),
    ]);
    await world.killAgent("SIGKILL");
    peer.beats.length = 0;
    await until("half of its time is over", () => peer.nowMs() - sinceMs > JOB_MS / 2);
    const backAtMs = peer.nowMs();
    await world.startAgent();
    const { status } = await untilStatus(world, one.instance, "failed");
    expect(status).toMatchObject({ failure: { code: "timed_out" } });
    expect(peer.nowMs() - backAtMs, "the time it had before counts").toBeLessThan(JOB_MS);
    // What was over stays so, with all that is to be told of it.
    expect(peer.observed(over.instance)?.status).toMatchObject({ kind: "failed", failure: { exitCode: 5 } });
    expect(peer.history(over.instance)).toEqual(["failed"]);
    await until("their output", () => runsOf(one) > 0 && runsOf(over) > 0);
    expect([runsOf(one), runsOf(over)]).toEqual([1, 1]);
    peer.publish([]);
    await until("both are forgotten", () => peer.beats.at(-1)?.request.observed.length === 0);
  },
);

each(
  "a one-off instance that ended while its agent was away is not run again, and succeeded only where somebody saw it",
  async ({ runtime, world, job, runsOf, tellToEnd }) => {
    const { peer } = world;
    const one = job(UNTIL_TOLD);
    peer.publish([one]);
    await untilStatus(world, one.instance, "starting");
    await until("its first line", () => runsOf(one) === 1);
    await world.killAgent("SIGKILL");
    await tellToEnd(one);
    peer.beats.length = 0;
    await world.startAgent();
    const seen = await until("its end", () => {
      const found = peer.observed(one.instance)?.status;
      return found?.kind === "stopped" || found?.kind === "failed" ? found : null;
    });
    if (runtime === "docker") expect(seen).toEqual({ kind: "stopped", exitCode: 0 });
    else
      expect(seen).toMatchObject({
        kind: "failed",
        failure: { exitCode: null, message: expect.stringContaining("nobody was there") },
      });
    // Once more: now it is on disk.
    await world.killAgent("SIGKILL");
    peer.beats.length = 0;
    await world.startAgent();
    await untilStatus(world, one.instance, seen.kind);
    expect(peer.observed(one.instance)?.status).toEqual(seen);
    // Its output is read again beside the report of its end.
    await until("its output", () => runsOf(one) > 0);
    expect(runsOf(one)).toBe(1);
    peer.publish([]);
    await until("it is forgotten", () => peer.observed(one.instance) === undefined);
  },
);

each(
  "a one-off instance of which nothing is left but that it was begun is not run again",
  async ({ runtime, world, job, row, runsOf }) => {
    const { peer, dir } = world;
    const one = job('echo "it runs"; sleep 60');
    peer.publish([one]);
    await until("its first line", () => row(one) !== undefined && runsOf(one) === 1);
    await world.killAgent("SIGKILL");
    if (runtime === "docker") {
      const label = [`berth.node=${peer.node}`];
      const [container] = await docker.listContainers({ all: true, filters: { label } });
      await docker.getContainer(container!.Id).remove({ force: true });
    } else {
      const file = join(dir, "instances", one.instance, "run.json");
      const { process: of } = JSON.parse(readFileSync(file, "utf8"));
      process.kill(-of.pid, "SIGKILL");
      rmSync(file);
    }
    peer.beats.length = 0;
    await world.startAgent();
    const { status } = await untilStatus(world, one.instance, "failed");
    expect(status).toMatchObject({ failure: { code: "exited", exitCode: null } });
    await new Promise((resolve) => setTimeout(resolve, 500));
    expect(runsOf(one)).toBe(1);
    peer.publish([]);
    await until("it is forgotten", () => peer.observed(one.instance) === undefined);
  },
);
