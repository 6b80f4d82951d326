// Writes that Postgres alone answers: the first answer under a key is kept, sealed, and given again to whoever repeats it.
import { assertNever } from "../../../core/step.ts";
import { mintId } from "../../../db/ids.ts";
import { beginIdempotent, finishIdempotent } from "../../../db/queries/idempotency.ts";
import { open, requestHashes, seal } from "../secrets/seal.ts";
import type { ControlRequest } from "./context.ts";
import { databaseOf } from "./database.ts";
import { fail } from "./problem.ts";

interface Write<Value> {
  /** `app.create`, `token.create`, …: with the input it is what the key is held against. */
  readonly operation: string;
  readonly input: unknown;
  /** Of the id that the first try mints; a retry goes on with the same id. */
  readonly prefix: string;
  readonly act: (id: string) => Promise<Value>;
}

interface KeptAnswer {
  readonly sealed: string;
}

/** The App objects keep keys per app; the caller's own name in front keeps two people's keys apart. */
export function askedBy(c: ControlRequest): { actor: string; idempotencyKey: string | null } {
  const { actor } = c.get("caller");
  const key = c.req.header("idempotency-key");
  return { actor, idempotencyKey: key === undefined ? null : `${actor} ${key}` };
}

/** Only successes are kept: a refusal had no effect, so asking again may find things changed. */
export async function writeOnce<Value>(
  c: ControlRequest,
  { operation, input, prefix, act }: Write<Value>,
): Promise<Value> {
  const key = c.req.header("idempotency-key");
  if (key === undefined) return act(mintId(prefix));
  const { team, actor } = c.get("caller");
  const database = databaseOf(c.env);
  const at = { team: team.id, actor, key };
  const hashes = await requestHashes(c.env.SECRETS_KEYS, [operation, input]);
  const begun = await beginIdempotent(database, { ...at, operation, requestHashes: hashes, resource: mintId(prefix) });
  // Answers may hold a token that is shown once: they rest as ciphertext.
  const place = { team: team.id, scope: "idempotency", name: `${actor} ${key}` };
  switch (begun.kind) {
    case "reused":
      return fail("idempotency_key_reused", "This Idempotency-Key was used with another request.");
    case "answered":
      return JSON.parse(await open(c.env.SECRETS_KEYS, place, (begun.body as KeptAnswer).sealed)) as Value;
    case "go_on":
      break;
    default:
      return assertNever(begun);
  }
  const value = await act(begun.resource);
  const sealed = await seal(c.env.SECRETS_KEYS, place, JSON.stringify(value));
  await finishIdempotent(database, { ...at, status: 201, body: { sealed } satisfies KeptAnswer });
  return value;
}
