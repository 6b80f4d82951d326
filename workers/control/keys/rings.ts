// From the rows of the platform's keys to what the Workers get: rings of what signs and what verifies still.
import type { KeyKind } from "../../../contracts/keys.ts";
import type { KeyRow } from "../../../db/queries/platform-keys.ts";
import { readRing } from "../../keys/signing-ring.ts";
import type { ControlEnv } from "../env.ts";
import { mergedKeys, secretKeys } from "../secrets/keys.ts";
import { open } from "../secrets/seal.ts";
import type { SessionRing } from "./session-secrets.ts";

/** What a key signs with, by the kind of key: what the Workers were given it as. */
export const VARIABLE = {
  ticket: "TICKET_SIGNING_KEY",
  credential: "CREDENTIAL_SIGNING_KEY",
  session: "BETTER_AUTH_SECRET",
} as const;
export type HeldKind = keyof typeof VARIABLE;

/** The version of a session secret that the Worker was given: it has no name of its own. */
export const FIRST_SESSION = "1";

export const placeOf = (kind: KeyKind, version: string) => ({
  team: "platform",
  scope: "keys",
  name: `${kind}/${version}`,
});

/** The versions that the Workers were given, as rows. */
export function givenKeys(given: ControlEnv): Pick<KeyRow, "kind" | "version" | "state">[] {
  const { current, byVersion } = secretKeys(mergedKeys(given));
  const first = secretKeys(given.SECRETS_KEYS || mergedKeys(given));
  const rows: Pick<KeyRow, "kind" | "version" | "state">[] = [...byVersion.keys()]
    // Those that were added later are prepared by name.
    .filter((version) => first.byVersion.has(version))
    .map((version) => ({ kind: "kek", version, state: version === current ? "current" : "replaced" }));
  for (const kind of ["ticket", "credential"] as const)
    rows.push({ kind, version: readRing(given[VARIABLE[kind]], VARIABLE[kind]).current, state: "current" });
  rows.push({ kind: "session", version: FIRST_SESSION, state: "current" });
  if (given.BACKUP_RECIPIENT) rows.push({ kind: "backup", version: given.BACKUP_RECIPIENT, state: "current" });
  return rows;
}

const counts = ({ state }: KeyRow): boolean => state !== "retired";

/** Private only in the one that signs. Undefined where nothing but what was given is in use. */
export async function signingRingOf(
  kind: "ticket" | "credential",
  rows: readonly KeyRow[],
  env: { readonly given: ControlEnv; readonly SECRETS_KEYS: string },
): Promise<string | undefined> {
  const mine = rows.filter((row) => row.kind === kind && counts(row));
  const current = mine.find(({ state }) => state === "current");
  if (current === undefined || (mine.length === 1 && current.sealed === null)) return undefined;
  const first = readRing(env.given[VARIABLE[kind]], VARIABLE[kind]);
  const givenKey = first.keys.find(({ kid }) => kid === first.current)!;
  const keys: unknown[] = [];
  for (const { version, sealed, public: half, state } of mine) {
    const { d: _private, ...ofGiven } = givenKey;
    if (state !== "current") keys.push(half ?? (version === givenKey.kid ? ofGiven : null));
    else if (sealed === null) keys.push(givenKey);
    else keys.push(JSON.parse(await open(env.SECRETS_KEYS, placeOf(kind, version), sealed)));
  }
  // The newest first, as who verifies tries them.
  return JSON.stringify({ current: current.version, keys: keys.filter((key) => key !== null).reverse() });
}

export async function sessionRingOf(
  rows: readonly KeyRow[],
  env: { readonly given: ControlEnv; readonly SECRETS_KEYS: string },
): Promise<string | undefined> {
  const mine = rows.filter((row) => row.kind === "session");
  const current = mine.find(({ state }) => state === "current");
  if (current === undefined || (mine.length === 1 && current.sealed === null)) return undefined;
  const ring = { current: current.version, secrets: {} as Texts, retired: {} as Texts } satisfies SessionRing;
  for (const row of mine) {
    const { version, sealed } = row;
    const at = placeOf("session", version);
    const secret = sealed === null ? env.given.BETTER_AUTH_SECRET : await open(env.SECRETS_KEYS, at, sealed);
    (counts(row) ? ring.secrets : ring.retired)[version] = secret;
  }
  return JSON.stringify(ring);
}

type Texts = Record<string, string>;
