// The fall of a release under way: all of it that had answered are down while it has traffic. One gets a second chance, several do not.
import { instanceKey } from "../../contracts/desired.ts";
import type { Limits } from "../limits.ts";
import { hasTraffic, type Seen } from "./seen.ts";
import { isReadySlot } from "./slots.ts";
import type { RolloutRow } from "./types.ts";

/** Notes who had answered and is down in its place, and since when nobody else is left. Whoever went with its node did not fall. */
export function withFallen(before: RolloutRow, row: RolloutRow, seen: Seen, nowMs: number, limits: Limits): RolloutRow {
  const known = [...(before.fallen ?? []), ...(before.verified ?? [])];
  if (known.length === 0) return row;
  const verified = new Set(row.verified);
  const placed = new Map<string, boolean>();
  for (const slot of [...seen.slots, ...(seen.beside ?? [])]) {
    if ("generation" in slot) placed.set(instanceKey(slot), isReadySlot(slot));
  }
  const fallen = [...new Set(known)].filter((key) => placed.has(key) && !verified.has(key)).sort();
  const stands = verified.size > 0 || fallen.some((key) => placed.get(key));
  const noted = fallen.length > 0 || before.fallen?.length ? { ...row, fallen } : row;
  return { ...noted, ...fallOf(noted, fallen.length > 0 && !stands, stands, nowMs, limits) };
}

function fallOf(
  row: RolloutRow,
  isDown: boolean,
  stands: boolean,
  nowMs: number,
  { fallResetMs }: Limits,
): Pick<RolloutRow, "fall"> {
  const fall = row.fall ?? null;
  const isOpen = fall !== null && fall.backAtMs === null;
  if (isDown && !isOpen && hasTraffic(row)) {
    const again = fall !== null && fall.backAtMs !== null && nowMs < fall.backAtMs + fallResetMs;
    return { fall: { sinceMs: nowMs, backAtMs: null, again } };
  }
  if (isOpen && stands) return { fall: { ...fall, backAtMs: nowMs } };
  // Gone with its node since: others come.
  return isOpen && !isDown ? { fall: null } : {};
}

/** Whether nothing is waited for any more. One that fell for the first time is started again by its node, within its patience. */
export function hasFallen({ fall, fallen = [] }: RolloutRow, nowMs: number, { fallPatienceMs }: Limits): boolean {
  if (!fall || fall.backAtMs !== null) return false;
  return fall.again || fallen.length > 1 || nowMs >= fall.sinceMs + fallPatienceMs;
}

export const fallWakeAtMs = ({ fall }: RolloutRow, { fallPatienceMs }: Limits): number | null =>
  fall && fall.backAtMs === null ? fall.sinceMs + fallPatienceMs : null;
