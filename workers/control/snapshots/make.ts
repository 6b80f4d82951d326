// Making a region's snapshot: asks its Cells who is there, the Apps whose routes changed, and Postgres for hostnames.
import { base64url } from "jose";
import type { AppId, CellName, RegionName } from "../../../contracts/ids.ts";
import type { Route } from "../../../contracts/route.ts";
import type { Snapshot, SnapshotNode } from "../../../contracts/snapshot.ts";
import { assemble, outdated } from "../../../core/ingress/assemble.ts";
import { limitsFrom } from "../../../core/limits.ts";
import type { CellRoster, CellSummary } from "../../../core/messages.ts";
import { hostnamesOf } from "../../../db/queries/hostnames.ts";
import type { ControlEnv } from "../env.ts";
import { ask, inBatches } from "../http/ask.ts";
import { databaseOf } from "../http/database.ts";
import { unwrap } from "../http/respond.ts";
import { forgetOlder, readSnapshot, storeSnapshot, type Made } from "./store.ts";

const ASKED_AT_ONCE = 16;

/**
 * The newest there is afterwards: another one where anything is otherwise than in `before`. Throws where a Cell does not answer: what
 * it has would be missing, and the snapshot before is better. None of a platform that was lost and is not restored yet, for the same
 * reason: what the nodes have is all that visitors are served by.
 */
export async function makeSnapshot(env: ControlEnv, before: Made): Promise<Made> {
  const { region } = before;
  // By the clock at its beginning, so that it also rises over a restore of the Region from a backup, and so that whoever began earlier,
  // and asked a Cell before it was changed, never overtakes.
  const version = Math.max(before.version + 1, Date.now());
  const [rosters, read] = await Promise.all([
    rostersOf(env, region),
    before.version === 0 ? null : readSnapshot(env, before),
  ]);
  if (!rosters.some(({ nodes }) => nodes.length > 0)) return before;
  const last = read?.snapshot ?? null;
  const routes = new Map(last?.routes.map(({ route }): [AppId, Route] => [route.app, route]));
  const wanted = outdated(rosters, routes, limitsFrom(env.TUNING).snapshotRoutesMax);
  await inBatches(wanted, ASKED_AT_ONCE, async (app) => {
    const answer = await ask(() => env.APP.getByName(app).route(), { repeatable: true }).catch(() => null);
    // One that is silent is served as it was, and asked again.
    if (answer?.ok) routes.set(app, answer.value);
  });
  const assembled = assemble({ rosters, routes, hostnames: await namesOf(env, [...routes.keys()], last) });
  const content = { baseDomain: env.BASE_DOMAIN, ...assembled };
  const digest = await digestOf(content);
  if (digest === before.digest && last !== null) return before;
  const made = { region, version, digest };
  await storeSnapshot(env, { region, version, atMs: Date.now(), ...content }, digest);
  const told = unwrap(await ask(() => env.REGION.getByName(region).snapshotMade(made), { repeatable: true }));
  if (!told.newest) return before;
  await forgetOlder(env, made);
  if (last !== null && someLeft(last, assembled.nodes)) await tellCells(env, made);
  return made;
}

/** For who was just taken out: nobody waits for the turn of the next one. Throws as makeSnapshot does. */
export async function makeSnapshotNow(env: ControlEnv, region: RegionName): Promise<void> {
  const { version, digest } = unwrap(
    await ask(() => env.REGION.getByName(region).snapshot({ insist: true }), { repeatable: true }),
  );
  // Without one nobody believes anybody.
  if (version > 0) await makeSnapshot(env, { region, version, digest });
}

const someLeft = (last: Snapshot, nodes: readonly SnapshotNode[]): boolean => {
  const keys = new Map(nodes.map(({ node, signKey }) => [node, signKey]));
  return last.nodes.some(({ node, signKey }) => keys.get(node) !== signKey);
};

/** Their nodes hear of it with their next heartbeats. A Cell that is silent hears no heartbeats either. */
async function tellCells(env: ControlEnv, { region, version }: Made): Promise<void> {
  await inBatches(await cellsOf(env, region), ASKED_AT_ONCE, async (cell) => {
    await ask(() => env.CELL.getByName(cell).needSnapshot({ version }), { repeatable: true }).catch(
      (error: unknown) => {
        console.warn(JSON.stringify({ at: "snapshot", cell, error: String(error).slice(0, 300) }));
      },
    );
  });
}

async function cellsOf(env: ControlEnv, region: RegionName): Promise<CellName[]> {
  const { itemsJson } = unwrap(await ask(() => env.REGION.getByName(region).cells(), { repeatable: true }));
  return (JSON.parse(itemsJson) as CellSummary[]).map(({ cell }) => cell);
}

async function rostersOf(env: ControlEnv, region: RegionName): Promise<CellRoster[]> {
  return inBatches(await cellsOf(env, region), ASKED_AT_ONCE, async (cell) =>
    unwrap(await ask(() => env.CELL.getByName(cell).roster(), { repeatable: true })),
  );
}

/** While Postgres is away, or not yet restored, hostnames are as they were: nothing but a person changes them. */
async function namesOf(env: ControlEnv, apps: readonly AppId[], last: Snapshot | null) {
  try {
    const names = await hostnamesOf(databaseOf(env), apps);
    if (apps.length > 0 && names.size === 0) throw new Error("Postgres knows none of the apps that run");
    return names;
  } catch (error) {
    if (last === null) throw error;
    console.warn(JSON.stringify({ at: "snapshot", error: String(error).slice(0, 300) }));
    return new Map(last?.routes.map(({ route, hostnames }) => [route.app, hostnames]));
  }
}

async function digestOf(content: object): Promise<string> {
  const bytes = new TextEncoder().encode(JSON.stringify(content));
  return base64url.encode(new Uint8Array(await crypto.subtle.digest("SHA-256", bytes)));
}
