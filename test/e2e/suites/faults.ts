// kill -9 of each process while an app serves: who is not touched by it, and what is so again afterwards.
import { setTimeout as sleep } from "node:timers/promises";
import { beforeAll, expect, test } from "vitest";
import Docker from "dockerode";
import { startLoad } from "../../../cli/demo/load.ts";
import { servingOf } from "../nodes-support.ts";
import { sharedWorld } from "../shared-world.ts";
import { SMALL, eventually, serving, versionServer, writeApp, type World } from "../support.ts";

let world: World;
beforeAll(async () => {
  world = await sharedWorld();
  const folder = writeApp(world.home, "kept", { "server.mjs": versionServer("kept") }, `replicas = 3\n${SMALL}`);
  const ran = await world.berth(["deploy", folder]);
  expect(ran, ran.stderr).toMatchObject({ exitCode: 0 });
});

/** Requests through the edge for as long as `during` takes, and for longer than an isolate uses a route that it has. */
async function underLoad<Value>(during: () => Promise<Value>, { edgeDies = false } = {}): Promise<Value> {
  const { stack } = world;
  const url = `http://kept.${stack.baseDomain}:${stack.edgePort}/`;
  const startedMs = performance.now();
  const load = startLoad({ url, edgeUrl: stack.edgeUrl, rate: 50, seconds: 170 });
  const value = await during().finally(async () => {
    await sleep(6_000);
    load.stop();
  });
  const seconds = Math.floor((performance.now() - startedMs) / 1_000);
  const report = await load.done;
  // Of an edge that is killed, visitors see closed connections until it is back, and no answer that is wrong.
  const expected = edgeDies ? /^(socket hang up|read ECONNRESET|connect (ECONNREFUSED|ECONNRESET) .*)$/ : /^(?!)/;
  expect(Object.keys(report.failures).filter((failure) => !expected.test(failure))).toEqual([]);
  expect(report.requests).toBeGreaterThan(50 * (seconds - 1));
  return value;
}

/** The containers of this stack's nodes: id and when each was started. */
async function containers(): Promise<string[]> {
  const docker = new Docker();
  const { items } = (await world.api("GET", "/v1/nodes")).body;
  const nodes = new Set(items.map((node: { id: string }) => node.id));
  const listed = await docker.listContainers({ filters: { label: ["berth.node"] } });
  const ours = listed.filter(({ Labels }) => nodes.has(Labels["berth.node"]));
  const states = await Promise.all(
    ours.map(async ({ Id }) => (await docker.getContainer(Id).inspect()).State.StartedAt + Id),
  );
  return states.toSorted();
}

const nodesReady = () =>
  eventually(
    () => world.api("GET", "/v1/nodes"),
    ({ body }) => body.items.length === 3 && body.items.every((node: { phase: string }) => node.phase === "ready"),
    { withinMs: 60_000 },
  );

test("kill -9 of an agent: no request fails, and its containers are adopted by the next one", async () => {
  const before = await containers();
  expect(before).toHaveLength(3);
  await underLoad(async () => {
    await world.stack.kill("agent:node-2");
    await world.stack.untilReady("agent:node-2");
    await nodesReady();
  });
  expect(await containers()).toEqual(before);
});

test("kill -9 of a gateway: its agent starts it again and the app answers on", async () => {
  const pid = world.stack.processes()["gateway:node-1"];
  await world.stack.kill("gateway:node-1");
  await eventually(
    async () => world.stack.processes()["gateway:node-1"],
    (now) => now !== undefined && now !== pid,
  );
  expect((await world.visit("kept")).status).toBe(200);
});

test("kill -9 of the control Worker in mid-rollout: no request fails, the rollout completes, nothing is doubled", async () => {
  // Self-hosted, one workerd is both.
  const edgeDies = world.stack.clockUrl !== null;
  const killed = async () => {
    const folder = writeApp(world.home, "kept", { "server.mjs": versionServer("second") }, `replicas = 3\n${SMALL}`);
    const detached = await world.berth(["deploy", folder, "--detach", "--json"]);
    expect(detached.exitCode, detached.stderr).toBe(0);
    const { id } = JSON.parse(detached.stdout);
    await world.stack.kill("control");
    await world.stack.untilReady("control");
    const path = `/v1/apps/kept/rollouts/${id}`;
    const ended = await eventually(
      () => world.api("GET", path),
      ({ body }) => body.endedAtMs != null,
      { withinMs: 60_000 },
    );
    expect(ended.body.phase).toBe("completed");
  };
  await underLoad(killed, { edgeDies });
  await serving(world, "kept", "second");
  // Once the old ones have drained there are three containers again, of three instances.
  await eventually(containers, (now) => now.length === 3, { withinMs: 60_000 });
  const running = await servingOf(world, "kept");
  expect(running.map(({ ordinal }) => ordinal).toSorted((a, b) => a - b)).toEqual([0, 1, 2]);
});

test("kill -9 of the edge's workerd: it answers again by itself", async () => {
  await world.stack.kill("edge.workerd");
  await eventually(
    () => world.visit("kept"),
    ({ status }) => status === 200,
  );
});

test("Postgres away: apps serve, the API says 503, and history catches up after", async () => {
  const { default: pg } = await import("pg");
  const app = (await world.api("GET", "/v1/apps/kept")).body;
  await underLoad(async () => {
    await world.stack.kill("postgres", "SIGKILL", { hold: true });
    const away = await world.api("GET", "/v1/apps");
    expect(away).toMatchObject({ status: 503, body: { code: "database_unavailable" } });
    expect(away.headers.get("retry-after")).not.toBeNull();
    // Something happens meanwhile: an instance is killed, started again and reported.
    const [victim] = await new Docker().listContainers({ filters: { label: [`berth.app=${app.id}`] } });
    expect(victim).toBeDefined();
    await world.stack.start("postgres");
  });
  expect(await world.berth(["scale", "2", "kept"])).toMatchObject({ exitCode: 0 });
  const client = new pg.Client({ connectionString: world.stack.postgres.adminUrl });
  await client.connect();
  try {
    const inObject = async () =>
      (
        await client.query("select max(seq)::int as last, count(*)::int as all from events where source = $1", [
          `app:${app.id}`,
        ])
      ).rows[0];
    const caughtUp = await eventually(inObject, (row) => row.last > 0 && row.last === row.all);
    expect(caughtUp.all).toBe(caughtUp.last);
  } finally {
    await client.end();
  }
});
