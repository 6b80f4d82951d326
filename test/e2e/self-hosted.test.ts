// The self-hosted profile: the same Workers and objects on plain workerd, with a table of routes and bundles in an S3-compatible store.
import { createHash } from "node:crypto";
import { afterAll, beforeAll, expect, test } from "vitest";
import { createWorld, eventually, serving, SMALL, versionServer, writeApp, type World } from "./support.ts";

let world: World;
beforeAll(async () => {
  world = await createWorld({ profile: "self-hosted", runtime: "process", agents: 2 });
});
afterAll(async () => await world?.end());

const deploy = (text: string) =>
  world.berth([
    "deploy",
    writeApp(world.home, "plain", { "server.mjs": versionServer(text) }, `replicas = 2\n${SMALL}`),
  ]);

test("a folder is deployed through the S3 store, and the next version takes its place", async () => {
  const first = await deploy("first");
  expect(first, first.stderr).toMatchObject({ exitCode: 0 });
  await serving(world, "plain", "first");
  expect(await deploy("second")).toMatchObject({ exitCode: 0 });
  await serving(world, "plain", "second");
});

test("a bundle that does not match its hash is refused, and the store keeps nothing of it", async () => {
  const put = (body: Uint8Array<ArrayBuffer>, hash: string) =>
    fetch(`${world.stack.controlUrl}/v1/apps/plain/bundles/${hash}`, {
      method: "PUT",
      headers: { authorization: `Bearer ${world.stack.operator.token}`, "content-type": "application/gzip" },
      body,
    });
  const [right, wrong] = [new Uint8Array(300_000).fill(1), new Uint8Array(300_000).fill(2)];
  const hash = `sha256:${createHash("sha256").update(right).digest("hex")}`;
  const refused = await put(wrong, hash);
  expect(refused.status).toBe(422);
  expect(JSON.stringify(await refused.json())).toContain("is not the hash of the body");
  const release = { spec: { source: { kind: "bundle", hash }, command: ["node", "x"] } };
  const unknown = await world.api("POST", "/v1/apps/plain/releases", release);
  expect(JSON.stringify(unknown.body)).toContain("no bundle with this hash was uploaded");
  expect((await put(right, hash)).status).toBe(204);
});

test("workerd killed in the middle of a rollout goes on by itself: what it decided and when to wake is on disk", async () => {
  const running = deploy("third");
  const rolling = async () => (await world.api("GET", "/v1/apps/plain/rollouts")).body;
  await eventually(rolling, ({ items }) => items.length === 3, { everyMs: 10 });
  await world.stack.kill("control");
  await world.stack.untilReady("control");
  await eventually(
    rolling,
    ({ items }) => items.length === 3 && items.every(({ phase }: { phase: string }) => phase === "completed"),
  );
  await serving(world, "plain", "third");
  await running;
});

test("the clock reaches the minute's sweep, and nobody reaches the clock by the API's socket", async () => {
  const clock = world.stack.clockUrl ?? "";
  expect((await fetch(clock, { method: "POST" })).status).toBe(204);
  expect((await fetch(clock)).status).toBe(405);
  expect((await fetch(world.stack.controlUrl, { method: "POST" })).status).toBe(404);
});
