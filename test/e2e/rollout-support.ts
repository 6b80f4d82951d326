// What the tests of rollouts share: an app that says which release answers, releases of it by plan, and what its visitors saw.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect } from "vitest";
import type { App, Rollout } from "../../contracts/api.ts";
import type { RolloutCommand } from "../../contracts/rollout-plan.ts";
import { hasFailed, METHODS, startVisitors, type Seen, type Visitors } from "../../dev/load/visitors.ts";
import { SMALL, eventually, writeApp, type ApiAnswer, type World } from "./support.ts";
import { trafficServer } from "./traffic-app.ts";

/** Its readiness is not what visitors ask for: errors that they see do not make it unready. */
const RESOURCES = SMALL.replace('path = "/"', 'path = "/ready"');

/** Of the stack whose suites look at drains: long enough that releases overlap. */
export const DRAIN_MS = 8_000;

export type PlanWish = Record<string, unknown>;

/** v1 of the app, rolled out as `berth deploy` does it. */
export async function createApp(world: World, app: string, replicas: number): Promise<void> {
  const folder = writeApp(
    world.home,
    app,
    { "server.mjs": await trafficServer() },
    `replicas = ${replicas}\n${RESOURCES}`,
  );
  const ran = await world.berth(["deploy", folder]);
  expect(ran, ran.stderr).toMatchObject({ exitCode: 0 });
}

export async function appOf(world: World, app: string): Promise<App> {
  const { status, body } = await world.api("GET", `/v1/apps/${app}`);
  expect(status, JSON.stringify(body)).toBe(200);
  return body;
}

/** One release more of the same files; `flags` are the server's. Refused where the API refuses. */
export async function postRelease(
  world: World,
  app: string,
  plan: PlanWish,
  { flags = [], spec = {} }: { flags?: readonly string[]; spec?: Record<string, unknown> } = {},
): Promise<ApiAnswer> {
  const { currentRelease } = await appOf(world, app);
  const command = ["node", "server.mjs", ...flags];
  const body = { spec: { ...currentRelease?.spec, command, ...spec }, plan };
  return world.api("POST", `/v1/apps/${app}/releases`, body, { "idempotency-key": crypto.randomUUID() });
}

export async function release(...wish: Parameters<typeof postRelease>): Promise<Rollout> {
  const { status, body } = await postRelease(...wish);
  expect(status, JSON.stringify(body)).toBe(202);
  return body.rollout;
}

export async function readRollout(world: World, app: string, id: string): Promise<Rollout> {
  const { status, body } = await world.api("GET", `/v1/apps/${app}/rollouts/${id}`);
  expect(status, JSON.stringify(body)).toBe(200);
  return body;
}

export const untilRollout = (
  world: World,
  app: string,
  { id }: Rollout,
  pleases: (now: Rollout) => boolean,
  withinMs = 60_000,
): Promise<Rollout> => eventually(() => readRollout(world, app, id), pleases, { withinMs, everyMs: 50 });

export const isOver = ({ endedAtMs }: Rollout): boolean => endedAtMs !== null;

/** Waits for its end, which must be this one. */
export async function ended(world: World, app: string, rollout: Rollout, phase: Rollout["phase"]): Promise<Rollout> {
  const now = await untilRollout(world, app, rollout, isOver);
  expect(now, JSON.stringify(now)).toMatchObject({ phase });
  return now;
}

export const control = (
  world: World,
  app: string,
  { id }: Rollout,
  command: RolloutCommand,
  headers: Record<string, string> = {},
): Promise<ApiAnswer> =>
  world.api(
    "POST",
    `/v1/apps/${app}/rollouts/${id}/${command}`,
    {},
    {
      "idempotency-key": crypto.randomUUID(),
      ...headers,
    },
  );

export async function commanded(world: World, app: string, rollout: Rollout, command: RolloutCommand): Promise<void> {
  const { status, body } = await control(world, app, rollout, command);
  expect(status, JSON.stringify(body)).toBe(202);
}

/** What a browser sends once it has followed the link of `berth preview`. */
export async function signedLink(
  world: World,
  app: string,
  version: number,
): Promise<{ headers: Record<string, string> }> {
  const { status, body } = await world.api("POST", `/v1/apps/${app}/traffic/override`, { version });
  expect(status, JSON.stringify(body)).toBe(200);
  const { pathname, search } = new URL(body.link);
  const opened = await world.visit(`v${version}--${app}`, pathname + search);
  expect([opened.status, opened.headers.location]).toEqual([303, "/"]);
  return { headers: { cookie: String(opened.headers["set-cookie"]).split("; ")[0] as string } };
}

/** Visitors with every method in turn. */
export function manyVisitors(world: World, app: string, ratePerS = 100): Visitors {
  const { edgePort: port, baseDomain } = world.stack;
  return startVisitors({ port, hostname: `${app}.${baseDomain}`, ratePerS, methods: METHODS });
}

export interface Flawless {
  readonly seen: readonly Seen[];
}

/** Runs `during` under load; not one request of any method may fail. Answers what was seen. */
export async function flawlessly(
  world: World,
  app: string,
  during: (visitors: Visitors) => Promise<unknown>,
  ratePerS = 100,
): Promise<readonly Seen[]> {
  const visitors = manyVisitors(world, app, ratePerS);
  try {
    await during(visitors);
  } finally {
    await visitors.stop();
  }
  const failed = visitors.seen.filter(hasFailed);
  expect(failed.slice(0, 5), failed.length === 0 ? "" : `${failed.length} failed; ${edgeLog(world)}`).toEqual([]);
  return visitors.seen;
}

/** What workerd says of requests that it ended itself stands nowhere else. */
function edgeLog({ home }: World): string {
  const lines = readFileSync(join(home, "state/logs/edge.log"), "utf8").split("\n");
  const told = lines.filter((line) => !line.includes("A promise was resolved or rejected from a different request"));
  return `the edge's last lines:\n${told.slice(-30).join("\n").slice(-6_000)}`;
}

/** The share of answers by this version, in percent, among what began in that time. */
export function shareOf(seen: readonly Seen[], version: string, fromMs = 0, toMs = Infinity): number {
  const within = seen.filter(({ startedAtMs }) => startedAtMs >= fromMs && startedAtMs < toMs);
  return (100 * within.filter((one) => one.version === version).length) / within.length;
}

export const by = (seen: readonly Seen[], version: string): Seen[] => seen.filter((one) => one.version === version);

/** All traffic goes to this one, and nothing of any other release runs but what drains or is warm. */
export const servedBy = (world: World, app: string, version: number): Promise<App> =>
  eventually(
    () => appOf(world, app),
    ({ weights, rollout }) =>
      rollout === null &&
      weights.every((one) => one.weight === (one.version === version ? 100 : 0)) &&
      weights.length > 0,
  );
