// The path a user walks first: deploy, see it roll, see why it fails, roll back, read logs. On the real stack.
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { beforeAll, describe, expect, test } from "vitest";
import { startLoad } from "../../../cli/demo/load.ts";
import { sharedWorld } from "../shared-world.ts";
import { SMALL, eventually, serving, versionServer, writeApp, type ApiAnswer, type World } from "../support.ts";

let world: World;
beforeAll(async () => {
  world = await sharedWorld();
});

interface NodeView {
  readonly phase: string;
  readonly instances: number;
  readonly reserved: { readonly cpuMilli: number };
}

const SECRET = "correct-horse-battery-staple";

test("the stack chose the Docker runtime, as CI demands of a machine with an Engine", () => {
  expect(world.stack.runtime).toBe("docker");
});

test("a folder becomes an app that answers through the edge, one replica in each rack", async () => {
  const folder = writeApp(world.home, "shop", { "server.mjs": versionServer("first") }, `replicas = 3\n${SMALL}`);
  // On a busy machine a node may have missed its heartbeats: it takes no placements then.
  const allReady = ({ body }: ApiAnswer): boolean => body.items.every(({ phase }: NodeView) => phase === "ready");
  await eventually(() => world.api("GET", "/v1/nodes"), allReady);
  const ran = await world.berth(["deploy", folder]);
  expect(ran, ran.stderr).toMatchObject({ exitCode: 0 });
  expect(ran.stdout).toContain("v1 is live: 3 of 3 answered");
  expect(await world.visit("shop")).toMatchObject({ status: 200, headers: { "x-app-text": "first" } });
  const nodes = JSON.parse((await world.berth(["ps", "shop", "--json"])).stdout).map(
    (row: { nodeName: string }) => row.nodeName,
  );
  expect(nodes.toSorted()).toEqual(["node-1", "node-2", "node-3"]);
});

test("under 100 requests/s a second version fails no request, and a crashing third never serves", async () => {
  const { stack } = world;
  const startedMs = performance.now();
  const load = startLoad({
    url: `http://shop.${stack.baseDomain}:${stack.edgePort}/`,
    edgeUrl: stack.edgeUrl,
    rate: 100,
    seconds: 170,
  });
  const second = writeApp(world.home, "shop", { "server.mjs": versionServer("second") }, `replicas = 3\n${SMALL}`);
  expect(await world.berth(["deploy", second])).toMatchObject({ exitCode: 0 });
  const crash = 'console.error("no database at db.internal");\nprocess.exit(3);\n';
  const third = writeApp(world.home, "shop", { "server.mjs": crash }, `replicas = 3\n${SMALL}`);
  const failed = await world.berth(["deploy", third]);
  expect(failed.exitCode).toBe(1);
  expect(failed.stderr).toContain("no database at db.internal");
  expect(failed.stderr).toContain("v2 keeps serving");
  // Until nothing is left of the first version and of the third: what drained and what crashed.
  await eventually(
    () => world.api("GET", "/v1/apps/shop/instances"),
    ({ body }) => body.items.length === 3,
  );
  await sleep(1_000);
  load.stop();
  const seconds = Math.floor((performance.now() - startedMs) / 1_000);
  const report = await load.done;
  expect(report.failures).toEqual({});
  expect(report.requests).toBeGreaterThan(100 * (seconds - 1));
  expect(Object.keys(report.byVersion).toSorted()).toEqual(["v1", "v2"]);
  await serving(world, "shop", "second");
});

test("a first deploy that is refused leaves no app behind", async () => {
  const ran = await world.berth(["deploy", "--app", "refused", "--image", "shop/Web:1"]);
  expect(ran.exitCode).not.toBe(0);
  expect(ran.stderr).toContain("spec/source/reference");
  const left = await eventually(
    () => world.api("GET", "/v1/apps"),
    ({ body }) => !body.items.some((app: { name: string }) => app.name === "refused"),
  );
  expect(left.status).toBe(200);
});

test("rollback brings the release before back, and its event log tells the story", async () => {
  expect(await world.berth(["rollback", "shop"])).toMatchObject({ exitCode: 0 });
  await serving(world, "shop", "first");
  const releases = JSON.parse((await world.berth(["releases", "shop", "--json"])).stdout);
  expect(releases.map((release: { version: number }) => release.version)).toEqual([3, 2, 1]);
});

test("an environment variable reaches the app and is stored nowhere in the clear", async () => {
  const ran = await world.berth(["env", "set", "--app", "shop", "SECRET=-"], SECRET);
  expect(ran, ran.stderr).toMatchObject({ exitCode: 0 });
  const seen = async () => JSON.parse((await world.visit("shop")).body).secret;
  await eventually(seen, (secret) => secret === SECRET);
  const listed = await world.berth(["env", "list", "--app", "shop", "--json"]);
  expect(JSON.parse(listed.stdout)).toEqual(["SECRET"]);
  // Everything that Berth itself keeps: objects, Postgres, logs, the agents' folders (the Engine has the container's own copy).
  const found = execFileSync("sh", ["-c", `grep -rlaF ${SECRET} "$1" || true`, "sh", world.stack.stateDir], {
    encoding: "utf8",
  });
  expect(found).toBe("");
});

test("logs come from every instance", async () => {
  const ran = await world.berth(["logs", "shop", "--json"]);
  const lines = ran.stdout
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line));
  expect(
    new Set(lines.filter((line) => line.line === "up first").map((line) => line.instance)).size,
  ).toBeGreaterThanOrEqual(3);
});

test("scale and restart are rollouts that end, and scaling to zero says so at the edge", async () => {
  expect(await world.berth(["scale", "1", "shop"])).toMatchObject({ exitCode: 0 });
  expect(await world.berth(["restart", "shop"])).toMatchObject({ exitCode: 0 });
  expect(await world.berth(["scale", "0", "shop"])).toMatchObject({ exitCode: 0 });
  const away = await eventually(
    () => world.visit("shop"),
    ({ status }) => status === 503,
  );
  expect(JSON.parse(away.body).detail).toMatch(/scaled to zero/i);
  expect(await world.berth(["scale", "1", "shop"])).toMatchObject({ exitCode: 0 });
  expect(await world.visit("shop")).toMatchObject({ status: 200 });
});

describe("what cannot work is refused with its reason, and what serves goes on serving", () => {
  const release = (spec: Record<string, unknown>) => ({
    spec: { resources: { cpuMilli: 50, memoryBytes: 64 * 1024 ** 2 }, ...spec },
  });

  async function failureOf(
    spec: Record<string, unknown>,
  ): Promise<{ kind: string; failure?: { code: string }; refusal?: unknown }> {
    const accepted = await world.api("POST", "/v1/apps/shop/releases", release(spec), {
      "idempotency-key": crypto.randomUUID(),
    });
    expect(accepted.status, JSON.stringify(accepted.body)).toBe(202);
    const path = `/v1/apps/shop/rollouts/${accepted.body.rollout.id}`;
    const ended = await eventually(
      () => world.api("GET", path),
      ({ body }) => body.endedAtMs !== null,
      { withinMs: 60_000 },
    );
    expect(ended.body.phase).toBe("failed");
    expect((await world.visit("shop")).status).toBe(200);
    return ended.body.failure;
  }

  test("an image that does not exist", async () => {
    const failure = await failureOf({ source: { kind: "image", reference: "127.0.0.1:1/absent:v1" } });
    expect(failure).toMatchObject({ kind: "instance" });
    expect(["image_not_found", "image_pull_failed"]).toContain(failure.failure?.code);
  });

  test("more memory than any node has", async () => {
    const accepted = {
      source: { kind: "image", reference: "127.0.0.1:1/absent:v1" },
      resources: { memoryBytes: 4_096 * 1024 ** 3 },
    };
    const failure = await failureOf(accepted);
    expect(failure.kind).toBe("no_capacity");
    expect(failure.refusal).toMatchObject({ nodesTotal: 3, constraints: [{ constraint: "memory", nodesExcluded: 3 }] });
  });
});

test("the history in Postgres has every event of the app once, in order", async () => {
  const { default: pg } = await import("pg");
  const { items } = (await world.api("GET", "/v1/apps")).body;
  const app = items.find((item: { name: string }) => item.name === "shop").id;
  const client = new pg.Client({ connectionString: world.stack.postgres.adminUrl });
  await client.connect();
  try {
    const rows = await eventually(
      async () =>
        (await client.query("select seq::int from events where source = $1 order by seq", [`app:${app}`])).rows,
      (found) => found.length > 50,
    );
    expect(rows.map((row) => row.seq)).toEqual(rows.map((_, index) => index + 1));
  } finally {
    await client.end();
  }
});

test("destroy stops everything and gives the hostname back", async () => {
  expect(await world.berth(["destroy", "shop", "--yes"])).toMatchObject({ exitCode: 0 });
  await eventually(
    () => world.visit("shop"),
    ({ status }) => status === 404,
    { withinMs: 60_000 },
  );
  const nodes = await eventually(
    () => world.api("GET", "/v1/nodes"),
    ({ body }) => body.items.every((node: NodeView) => node.instances === 0 && node.reserved.cpuMilli === 0),
    { withinMs: 60_000 },
  );
  expect(nodes.body.items).toHaveLength(3);
  expect(readFileSync(join(world.home, ".berth/config.json"), "utf8")).toContain("token");
});
