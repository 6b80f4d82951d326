// Rollback under few visitors: from the command to the first request that the old release serves, and to the last of the new one.
import { setTimeout as sleep } from "node:timers/promises";
import { hasFailed, startVisitors, type Seen } from "../../dev/load/visitors.ts";
import { eventually, type World } from "../../test/e2e/support.ts";

const RATE_PER_S = 10;
/** The aim for the last request is 5 s: it must be seen if it comes later. */
const WATCH_MS = 8_000;
const GREEN = { strategy: { kind: "blue_green", watchMs: 0, warmMs: 600_000 }, analysis: null };

export interface WayBack {
  readonly firstByOldMs: number;
  readonly lastByNewMs: number;
  readonly failed: number;
}

/** A green release replaces the present one, which stays warm; then it is called back. */
export async function wayBack(world: World, app: string): Promise<WayBack> {
  const old = await versionOf(world, app);
  const spec = (await world.api("GET", `/v1/apps/${app}`)).body.currentRelease.spec;
  await rolled(world, app, "releases", { spec, plan: GREEN });
  const next = await versionOf(world, app);
  const { edgePort: port, baseDomain } = world.stack;
  const visitors = startVisitors({ port, hostname: `${app}.${baseDomain}`, ratePerS: RATE_PER_S });
  try {
    await eventually(
      async () => visitors.seen.at(-1),
      (last) => last?.version === next,
    );
    await sleep(2_000);
    const calledAtMs = Date.now();
    await rolled(world, app, "rollback", {});
    await sleep(WATCH_MS);
    return measured(await visitors.stop(), { old, next, calledAtMs });
  } finally {
    await visitors.stop();
  }
}

function measured(
  seen: readonly Seen[],
  { old, next, calledAtMs }: { old: string; next: string; calledAtMs: number },
): WayBack {
  const after = seen.filter(({ endedAtMs }) => endedAtMs >= calledAtMs);
  const ofOld = after.filter(({ version }) => version === old).map(({ endedAtMs }) => endedAtMs);
  const ofNext = after.filter(({ version }) => version === next).map(({ endedAtMs }) => endedAtMs);
  return {
    firstByOldMs: Math.min(...ofOld) - calledAtMs,
    lastByNewMs: Math.max(calledAtMs, ...ofNext) - calledAtMs,
    failed: seen.filter(hasFailed).length,
  };
}

const versionOf = async (world: World, app: string): Promise<string> =>
  `v${(await world.api("GET", `/v1/apps/${app}`)).body.currentRelease.version}`;

/** Posts what rolls the app, and waits for the rollout's end. */
export async function rolled(world: World, app: string, path: string, body: unknown): Promise<void> {
  const { status, body: accepted } = await world.api("POST", `/v1/apps/${app}/${path}`, body, {
    "idempotency-key": crypto.randomUUID(),
  });
  if (status !== 202) throw new Error(`${path} answered ${status}: ${JSON.stringify(accepted)}`);
  const rollout = `/v1/apps/${app}/rollouts/${accepted.rollout.id}`;
  const { body: now } = await eventually(
    () => world.api("GET", rollout),
    ({ body: seen }) => seen.endedAtMs !== null,
    { withinMs: 60_000 },
  );
  if (now.phase !== "completed") throw new Error(JSON.stringify(now));
}
