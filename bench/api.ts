// `npm run bench:api`: the ten busiest routes of the API over a real Postgres and workerd, beside bare hono and drizzle routes over the
// same queries and objects; the answer times at 200 requests a second; and how many releases a second are taken in, beside pgbench.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import autocannon from "autocannon";
import type { z } from "zod";
import { App } from "../contracts/api.ts";
import { ApiTokenCreated } from "../contracts/teams.ts";
import { callApi } from "../dev/stack/operator.ts";
import { startStack, type Stack } from "../dev/stack.ts";
import { cpuMsOf } from "./api/cpu.ts";
import { startBare } from "./api/bare.ts";
import { openLoop } from "./api/open-loop.ts";
import { pgbenchRate } from "./api/pgbench.ts";
import { median, note, printReport, rounded, type Aim } from "./shared/report.ts";

const CONNECTIONS = 50;
const APPS = 8;
const ROUNDS = Number(process.env.BERTH_BENCH_ROUNDS ?? 3);
const SLICE_SECONDS = Number(process.env.BERTH_BENCH_SECONDS ?? 3);
const RATE = 200;
const STEADY_SECONDS = 30;
const MANY = 100_000_000;
const TUNING = JSON.stringify({ apiRequestsPerMinute: MANY });
const RELEASE = { spec: { source: { kind: "image", reference: "registry.test/app:1" }, resources: { cpuMilli: 50 } } };

interface Route {
  readonly name: string;
  readonly method: "GET" | "POST";
  /** Of an app, by its id. */
  readonly path: (app: string) => string;
}
const of = (name: string, tail: string): Route => ({ name, method: "GET", path: (app) => `/v1/apps/${app}${tail}` });
const ROUTES: readonly Route[] = [
  { name: "whoami", method: "GET", path: () => "/v1/whoami" },
  { name: "list apps", method: "GET", path: () => "/v1/apps" },
  { name: "list tokens", method: "GET", path: () => "/v1/tokens" },
  of("read an app", ""),
  of("list releases", "/releases"),
  of("list rollouts", "/rollouts"),
  of("list instances", "/instances"),
  of("list domains", "/domains"),
  of("list variables", "/env"),
  { ...of("release", "/releases"), method: "POST" },
];

interface Side {
  /** Of what answers: workerd, the adapter, Postgres. */
  readonly pids: readonly number[];
  readonly url: string;
  readonly token: string;
  readonly apps: readonly string[];
}
interface Slice {
  readonly perSecond: number;
  readonly p50: number;
  readonly p95: number;
  readonly p99: number;
  /** Of the processes that answer, for one request. */
  readonly cpuMs: number;
}

const dir = mkdtempSync(join(tmpdir(), "berth-bench-api-"));
const stack = await startStack({ stateDir: dir, agents: 0, vars: { control: { TUNING } }, fsync: true });
try {
  await measure(stack);
} finally {
  await stack.stop();
  rmSync(dir, { recursive: true, force: true });
}

async function measure(stack: Stack): Promise<void> {
  const { controlUrl, operator, adapter, postgres } = stack;
  const call = <Schema extends z.ZodType>(schema: Schema, path: string, body: unknown) =>
    callApi(controlUrl, { schema, method: "POST", path, body, token: operator.token });
  const { token } = await call(ApiTokenCreated, "/v1/tokens", { name: "bench" });
  const made: App[] = [];
  for (let n = 0; n < APPS; n += 1) made.push(await call(App, "/v1/apps", { name: `bench-${n}` }));
  const apps = made.map(({ id }) => id);
  const bindings = { ...(await bindingsOf({ adapter, postgres })), TUNING };
  const bare = await startBare(dir, bindings);
  try {
    const pids = stack.processes();
    const shared = [pids.adapter!, pids.postgres!];
    const sides = {
      api: { url: controlUrl, token, apps, pids: [pids["control.workerd"]!, ...shared] },
      bare: { url: bare.url, token, apps, pids: [bare.workerdPid(), ...shared] },
    };
    for (const app of apps) await posted(sides.bare, `/apps/${app}`, {});
    for (const side of Object.values(sides))
      for (const app of apps) await posted(side, `/v1/apps/${app}/releases`, RELEASE);
    // First: what hundreds of releases a second leave behind for the objects to do would be measured with it.
    const steady = { api: await atRate(sides.api), bare: await atRate(sides.bare) };
    note(`at ${RATE}/s: ${JSON.stringify(steady)}`);
    const routes = [];
    for (const route of ROUTES) routes.push(await compared(route, sides));
    const releases = routes.at(-1)!;
    const subject = { adapter: `127.0.0.1:${adapter.port}`, ...postgres, token, team: made[0]!.team, app: made[0]!.id };
    const pgbench = rounded(await pgbenchRate(subject, dir), 0);
    report(routes, steady, { api: releases.api.perSecond, bare: releases.bare.perSecond, pgbench });
  } finally {
    await bare.stop();
  }
}

async function bindingsOf({ adapter, postgres }: Pick<Stack, "adapter" | "postgres">): Promise<Record<string, string>> {
  return {
    DATABASE_URL_APP: postgres.appUrl,
    DATABASE_URL_AUTH: postgres.authUrl,
    NEON_ADAPTER: `127.0.0.1:${adapter.port}`,
    DEFAULT_REGION: "local",
  };
}

async function posted({ url, token }: Side, path: string, body: unknown): Promise<void> {
  const headers = { authorization: `Bearer ${token}`, "content-type": "application/json" };
  const answer = await fetch(new URL(path, url), { method: "POST", headers, body: JSON.stringify(body) });
  const text = await answer.text();
  if (!answer.ok) throw new Error(`${path} at ${url} answered ${answer.status}: ${text.slice(0, 300)}`);
}

/** Both sides in turn, and in the other order in every second round: what else the machine does falls on both. */
async function compared(route: Route, sides: { api: Side; bare: Side }) {
  const slices: { api: Slice[]; bare: Slice[] } = { api: [], bare: [] };
  for (let round = -1; round < ROUNDS; round += 1) {
    for (const name of round % 2 === 0 ? (["api", "bare"] as const) : (["bare", "api"] as const)) {
      const slice = await run(sides[name], [route], { duration: round < 0 ? 1 : SLICE_SECONDS });
      if (round >= 0) slices[name].push(slice);
    }
  }
  const shown = (all: readonly Slice[]): Slice => {
    const of_ = (part: keyof Slice) => rounded(median(all.map((slice) => slice[part])), 2);
    return { perSecond: of_("perSecond"), p50: of_("p50"), p95: of_("p95"), p99: of_("p99"), cpuMs: of_("cpuMs") };
  };
  const [api, bare] = [shown(slices.api), shown(slices.bare)];
  const costPercent = rounded(100 * (1 - api.perSecond / bare.perSecond), 1);
  note(
    `${route.name}: ${api.perSecond}/s beside ${bare.perSecond}/s bare, ${costPercent} % less; p99 ${api.p99} ms beside ${bare.p99} ms; cpu ${api.cpuMs} ms beside ${bare.cpuMs} ms`,
  );
  return { route: route.name, api, bare, costPercent };
}

function requestsOf(routes: readonly Route[], { token, apps }: Side) {
  const headers = { authorization: `Bearer ${token}`, "content-type": "application/json" };
  return routes.flatMap(({ method, path }) => {
    const body = method === "POST" ? { body: JSON.stringify(RELEASE) } : {};
    return apps.map((app) => ({ method, path: path(app), headers, ...body }));
  });
}

/** All routes in turn, at a mean rate whatever the answers take. */
async function atRate(side: Side): Promise<Slice> {
  const before = cpuMsOf(side.pids);
  const requests = requestsOf(ROUTES, side);
  const wanted = { url: side.url, connections: CONNECTIONS, ratePerS: RATE, seconds: STEADY_SECONDS, requests };
  const tookMs = (await openLoop(wanted)).toSorted((a, b) => a - b);
  const at = (share: number): number => rounded(tookMs[Math.floor(share * (tookMs.length - 1))] ?? Infinity, 1);
  const cpuMs = rounded((cpuMsOf(side.pids) - before) / tookMs.length, 2);
  return { perSecond: rounded(tookMs.length / STEADY_SECONDS, 1), p50: at(0.5), p95: at(0.95), p99: at(0.99), cpuMs };
}

async function run(side: Side, routes: readonly Route[], options: { duration: number }): Promise<Slice> {
  const before = cpuMsOf(side.pids);
  const result = await autocannon({
    url: side.url,
    connections: CONNECTIONS,
    requests: requestsOf(routes, side),
    ...options,
  } as Parameters<typeof autocannon>[0]);
  const { latency, non2xx, errors } = result;
  if (non2xx + errors > 0) throw new Error(`${routes[0]?.name} at ${side.url}: ${non2xx} refused, ${errors} failed`);
  const { p50, p97_5, p99 } = latency;
  const cpuMs = (cpuMsOf(side.pids) - before) / Math.max(1, result.requests.total);
  return { perSecond: result.requests.average, p50, p95: p97_5, p99, cpuMs };
}

function report(
  routes: readonly Awaited<ReturnType<typeof compared>>[],
  steady: { api: Slice; bare: Slice },
  intake: { api: number; bare: number; pgbench: number },
): void {
  const costPercent = rounded(median(routes.map((route) => route.costPercent)), 1);
  const cpuCostPercent = rounded(median(routes.map(({ api, bare }) => 100 * (1 - bare.cpuMs / api.cpuMs))), 1);
  const aims: Aim[] = [
    { name: "authorisation, audit and limits cost of throughput", value: costPercent, op: "<=", bound: 25, unit: "%" },
    { name: `p99 at ${RATE} requests a second`, value: steady.api.p99, op: "<=", bound: 100, unit: "ms" },
  ];
  printReport({ bench: "api", rounds: ROUNDS, aims, connections: CONNECTIONS, cpuCostPercent, routes, steady, intake });
}
