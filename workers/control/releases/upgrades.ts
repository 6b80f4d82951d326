// Agent upgrades over regions: which there are, whose turn it is, and what each Region says of its own.
import type { AgentRelease, AgentUpgrade } from "../../../contracts/agent-release.ts";
import type { RegionName } from "../../../contracts/ids.ts";
import type { ChangeUpgrade } from "../../../core/upgrade/types.ts";
import { listCells } from "../../../db/queries/nodes.ts";
import type { ControlEnv } from "../env.ts";
import { ask } from "../http/ask.ts";
import { databaseOf } from "../http/database.ts";
import { failField } from "../http/problem.ts";
import { unwrap } from "../http/respond.ts";

export interface UpgradeWish {
  readonly release: AgentRelease;
  readonly actor: string;
  /** Of the request, so that its repetition is the same attempt. */
  readonly id: string;
  readonly region: RegionName | undefined;
}

/** In the first region; each hands over to the next when it is completed, and a bad release never comes to those. */
export async function startUpgrade(
  env: ControlEnv,
  { release, actor, id, region }: UpgradeWish,
): Promise<AgentUpgrade> {
  const all = await listRegions(env);
  const [first, ...next] = region === undefined ? all : all.filter((name) => name === region);
  if (first === undefined) {
    const message = region === undefined ? "there are no nodes yet" : `no node ever enrolled in the region ${region}`;
    return failField("unprocessable", { pointer: "/region", rule: "exists", message });
  }
  const { version, manifest } = release;
  const input = { region: first, attempt: await attemptOf(id), version, manifest, actor, next };
  return unwrap(await ask(() => env.REGION.getByName(first).startUpgrade(input), { repeatable: true }));
}

export async function readUpgrades(env: ControlEnv): Promise<AgentUpgrade[]> {
  const regions = await listRegions(env);
  const found = await Promise.all(
    regions.map(async (name) =>
      unwrap(await ask(() => env.REGION.getByName(name).readUpgrade(), { repeatable: true })),
    ),
  );
  return found.filter((upgrade) => upgrade !== null);
}

/** Those that were changed. Without a region: wherever one is open. */
export async function changeUpgrades(
  env: ControlEnv,
  input: ChangeUpgrade,
  region: RegionName | undefined,
): Promise<AgentUpgrade[]> {
  const upgrades = await readUpgrades(env);
  const meant = upgrades.filter((upgrade) =>
    region === undefined ? upgrade.state === "running" || upgrade.state === "paused" : upgrade.region === region,
  );
  return Promise.all(
    meant.map(async ({ region: name }) =>
      unwrap(await ask(() => env.REGION.getByName(name).changeUpgrade(input), { repeatable: true })),
    ),
  );
}

/** A cell's name begins with its region's. */
async function listRegions(env: ControlEnv): Promise<RegionName[]> {
  const cells = await listCells(databaseOf(env));
  return [...new Set(cells.map((cell) => cell.slice(0, cell.lastIndexOf(".")) as RegionName))].sort();
}

/** 16 hexadecimal digits of the request's id. */
async function attemptOf(id: string): Promise<string> {
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", new TextEncoder().encode(id)));
  return Array.from(digest.subarray(0, 8), (byte) => byte.toString(16).padStart(2, "0")).join("");
}
