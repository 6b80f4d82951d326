// A machine without an Engine: the same stack, the same folder, as plain processes. And a stop with a start after it.
import { afterAll, beforeAll, expect, test } from "vitest";
import { STACK_VARIABLE } from "../../dev/process/identity.ts";
import { startStack } from "../../dev/stack.ts";
import { stateOf } from "../../dev/stack/wipe.ts";
import { singCanary } from "./canary.ts";
import { environmentOf } from "./nodes-support.ts";
import { changeVariables } from "./variables.ts";
import { SMALL, createWorld, eventually, serving, versionServer, writeApp, type World } from "./support.ts";

let world: World;
beforeAll(async () => {
  world = await createWorld({ runtime: "process" });
});
afterAll(async () => await world?.end());

test("a folder is deployed as processes, rolls to a second version and stops a crashing third", async () => {
  const deploy = (server: string) =>
    world.berth(["deploy", writeApp(world.home, "plain", { "server.mjs": server }, `replicas = 3\n${SMALL}`)]);
  const first = await deploy(versionServer("first"));
  expect(first, first.stderr).toMatchObject({ exitCode: 0 });
  await serving(world, "plain", "first");
  expect(await deploy(versionServer("second"))).toMatchObject({ exitCode: 0 });
  await serving(world, "plain", "second");
  const third = await deploy('console.error("broken on purpose");\nprocess.exit(7);\n');
  expect(third.exitCode).toBe(1);
  expect(third.stderr).toContain("broken on purpose");
  await serving(world, "plain", "second");
});

test("an image is refused with the reason that no node can run it", async () => {
  const ran = await world.berth(["deploy", "--app", "image", "--image", "busybox:1", "--replicas", "1"]);
  expect(ran.exitCode).toBe(1);
  expect(ran.stderr).toContain("excluded by runtime");
});

test("a secret that an app prints, and fails with, is in no log, table, object, file, argument or answer", () =>
  singCanary(world));

test("variables are imported, removed and brought back by command, each time in one release, and never shown", () =>
  changeVariables(world));

test("another team's token gets 404 at anything of it, audited; no list, stream or log has a trace of it", async () => {
  const { body: app } = await world.api("GET", "/v1/apps/singing");
  const other = { "berth-team": "others" };
  expect((await world.api("POST", "/v1/teams", { slug: "others", name: "Others" })).status).toBe(201);
  const { body: made } = await world.api("POST", "/v1/tokens", { name: "all", scopes: ["*"] }, other);
  const foreign = { authorization: `Bearer ${made.token}` };
  const { paths } = (await world.api("GET", "/openapi.json")).body as {
    paths: Record<string, Record<string, unknown>>;
  };
  const asked = Object.entries(paths).flatMap(([path, methods]) => Object.keys(methods).map((method) => ({ path, method }))); // prettier-ignore
  const ofApps = asked.filter(({ path }) => path.startsWith("/v1/apps/{app}"));
  expect(ofApps.length).toBeGreaterThan(25);
  const unknown = `${app.id.slice(0, -4)}zzzz`;
  const wrong: string[] = [];
  let refused = 0;
  for (const { path, method } of ofApps) {
    const [foreignAnswer, unknownAnswer] = await Promise.all(
      [app.id, unknown].map((id) => {
        const filled = path.replace("{app}", id).replaceAll(/\{\w+\}/g, "1");
        return world.api(method.toUpperCase(), filled, method === "get" ? undefined : {}, foreign);
      }),
    );
    // What is no request at all is refused before anything is looked up, in the same words for both.
    const { status, body } = foreignAnswer!;
    if (status === 404) refused += 1;
    if ((status !== 404 && status !== 400) || unknownAnswer!.status !== status)
      wrong.push(`${method} ${path} ${status}`);
    if (JSON.stringify(body).includes("singing")) wrong.push(`${method} ${path} names it`);
  }
  expect(wrong).toEqual([]);
  expect(refused).toBeGreaterThan(15);
  // Its own lists and streams, for as long as the app of the first team is busy; the operators' are not this token's to read.
  const lists = asked.filter(({ path, method }) => method === "get" && path.startsWith("/v1/") && !path.includes("{"));
  const since = { ...foreign, accept: "text/event-stream" };
  const watched = Promise.all([
    watchedFor("/v1/events", since, 4_000),
    watchedFor("/v1/events?follow=true", since, 4_000),
  ]);
  await world.visit("singing");
  expect((await world.api("POST", "/v1/apps/singing/restart", {})).status).toBeLessThan(300);
  const seen = [...(await watched)];
  // Its own audit names what it asked for.
  for (const { path } of lists.filter(({ path }) => !path.startsWith("/v1/audit")))
    seen.push(await watchedFor(path, foreign, path.startsWith("/v1/events") ? 4_000 : 30_000));
  expect(seen.some((text) => text.includes("others"))).toBe(true);
  expect(seen.filter((text) => text.includes(app.id) || text.includes("singing"))).toEqual([]);
  // Its lines are written once the answers are made.
  await eventually(
    () => world.api("GET", "/v1/audit?outcome=not_found&limit=100", undefined, foreign),
    ({ body }) => body.items.length > 20,
  );
  const own = JSON.stringify((await world.api("GET", "/v1/audit?limit=100")).body);
  expect(own, "of what others tried, its own audit has nothing").not.toContain(made.id);
});

/** What an answer said within that time, whether it ended or not. */
async function watchedFor(path: string, headers: Record<string, string>, ms: number): Promise<string> {
  let text = "";
  try {
    const answer = await fetch(new URL(path, world.stack.controlUrl), { headers, signal: AbortSignal.timeout(ms) });
    const decoder = new TextDecoder();
    for await (const chunk of answer.body ?? []) text += decoder.decode(chunk, { stream: true });
  } catch (error) {
    if (!(error instanceof DOMException)) throw error;
  }
  return text;
}

test("kill -9 of an agent leaves its processes alone, and the next one adopts them", async () => {
  const body = async () => JSON.parse((await world.visit("plain")).body).instance as string;
  const before = new Set([await body(), await body(), await body(), await body()]);
  await world.stack.kill("agent:node-1");
  await world.stack.untilReady("agent:node-1");
  const all = await eventually(
    () => world.api("GET", "/v1/apps/plain/instances"),
    ({ body: { items } }) => items.filter((row: { phase: string }) => row.phase === "ready").length === 3,
  );
  const ready = all.body.items.filter((row: { phase: string }) => row.phase === "ready");
  expect(ready.every((row: { restarts: number }) => row.restarts === 0)).toBe(true);
  for (const instance of before) expect(ready.map((row: { id: string }) => row.id)).toContain(instance);
});

test("a stack that was stopped leaves nothing behind, and its next start answers with what was deployed", async () => {
  const pids = Object.values(world.stack.processes());
  const { stateDir } = world.stack;
  const { stackId } = stateOf(world.stack);
  await world.stack.stop();
  // Another stack's process may have one of these numbers by now.
  const ours = (pid: number): boolean => environmentOf(pid).includes(`${STACK_VARIABLE}=${stackId}\0`);
  expect(pids.filter(ours)).toEqual([]);
  const stack = await startStack({ stateDir, runtime: "process", fsync: false });
  world = { ...world, stack, end: async () => await stack.stop() };
  await serving(world, "plain", "second");
});
