// Apps of one team that must not share a node: neither comes to where the other is, whichever of the two names the other.
import type { PlacementPolicy } from "../../contracts/release.ts";
import { awayFromKey } from "./types.ts";

/** Whom something on a node stays away from (awayFromKey), and the names of the apps that do. */
export type Shunned = ReadonlyMap<string, readonly string[]>;

const NOBODY: readonly string[] = [];

/** `<whom it stays away from> <its own name>`: one for each app that it names. key: its own (awayFromKey). */
export function shunsOf(key: string | null | undefined, policy: PlacementPolicy | undefined): readonly string[] {
  if (!key || !policy || policy.awayFrom.length === 0) return NOBODY;
  const [team, appName] = key.split("/") as [string, string];
  return policy.awayFrom.map((name) => `${awayFromKey(team, name)} ${appName}`);
}

/** Undefined: nothing there stays away from anybody. */
export function shunnedBy(shuns: Iterable<string>, before?: Shunned): Shunned | undefined {
  let shunned: Map<string, readonly string[]> | undefined;
  for (const entry of shuns) {
    const [key, name] = entry.split(" ") as [string, string];
    shunned ??= new Map(before);
    const names = shunned.get(key) ?? NOBODY;
    if (!names.includes(name)) shunned.set(key, [...names, name]);
  }
  return shunned ?? before;
}
