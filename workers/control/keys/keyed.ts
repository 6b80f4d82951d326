// The control Worker's environment with the keys of now: what it was given, and what rotations made of that since (KV).
import { limitsFrom } from "../../../core/limits.ts";
import {
  CONTROL_DOCUMENT,
  ControlDocument,
  ControlKeys,
  DOCUMENT_CACHE_TTL_S,
  type ControlDocument as Document,
} from "../../keys/documents.ts";
import { Fresh } from "../../keys/fresh.ts";
import type { ControlEnv } from "../env.ts";
import { mergedKeys } from "../secrets/keys.ts";
import { open } from "../secrets/seal.ts";

/** An environment whose keys are rings of now. given: as the Worker has it. */
export interface KeyedEnv extends ControlEnv {
  readonly given: ControlEnv;
}

/** As the Worker has it, of an environment that may be a keyed one. */
export const givenOf = (env: ControlEnv): ControlEnv => (env as Partial<KeyedEnv>).given ?? env;

/** Where the platform's own keys are sealed. */
export const KEYS_PLACE = { team: "platform", scope: "keys", name: "document" } as const;

/** One per environment, of which an isolate has one. */
const known = new WeakMap<object, Fresh<KeyedEnv>>();

function freshOf(env: ControlEnv): Fresh<KeyedEnv> {
  const found = known.get(env);
  if (found !== undefined) return found;
  const { keysFreshMs: freshMs } = limitsFrom(env.TUNING);
  const made = new Fresh<KeyedEnv>({ freshMs, nowMs: () => Date.now() });
  known.set(env, made);
  return made;
}

/** No wait and no promise in steady state. */
export function freshKeyed(env: ControlEnv): KeyedEnv | null {
  const fresh = freshOf(env);
  return fresh.isFresh ? fresh.known : null;
}

/** Never fails for want of KV: what is known, else what was given. */
export async function keyedEnv(env: ControlEnv, keepAlive: (work: Promise<unknown>) => void): Promise<KeyedEnv> {
  return (await freshOf(env).get(() => read(env), keepAlive)) ?? asGiven(env);
}

/** After a change made here. */
export const renewKeyed = (given: ControlEnv, document: Document): Promise<KeyedEnv> =>
  freshOf(given).renew(() => withDocument(given, document));

const asGiven = (given: ControlEnv, kek?: string): KeyedEnv => ({
  ...given,
  SECRETS_KEYS: mergedKeys(given, kek),
  given,
});

async function read(given: ControlEnv): Promise<KeyedEnv> {
  const found = await given.ROUTES.get(CONTROL_DOCUMENT, { type: "json", cacheTtl: DOCUMENT_CACHE_TTL_S });
  return found === null ? asGiven(given) : withDocument(given, ControlDocument.parse(found));
}

async function withDocument(given: ControlEnv, { kek, sealed }: Document): Promise<KeyedEnv> {
  const env = asGiven(given, kek);
  const keys = ControlKeys.parse(JSON.parse(await open(env.SECRETS_KEYS, KEYS_PLACE, sealed)));
  return {
    ...env,
    TICKET_SIGNING_KEY: keys.ticket ?? env.TICKET_SIGNING_KEY,
    CREDENTIAL_SIGNING_KEY: keys.credential ?? env.CREDENTIAL_SIGNING_KEY,
    BETTER_AUTH_SECRET: keys.session ?? env.BETTER_AUTH_SECRET,
    ...(keys.backup === undefined ? {} : { BACKUP_RECIPIENT: keys.backup }),
    ...(keys.moving ? { KEYS_MOVING: "1" } : {}),
  };
}
