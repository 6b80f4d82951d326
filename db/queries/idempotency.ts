// Idempotency keys of writes that end in Postgres: same key and body, same answer; another body is refused. One day long.
import { and, eq, isNull, lt, sql } from "drizzle-orm";
import type { TeamId } from "../../contracts/ids.ts";
import type { Database } from "../connect.ts";
import { idempotencyKeys } from "../schema/requests.ts";

export interface IdempotencyKey {
  readonly team: TeamId;
  readonly actor: string;
  readonly key: string;
}

/**
 * go_on: do it, with `resource` as the id of what is made. A retry whose first try did not finish is told the first try's
 * resource, so that every step is done again upon the same thing. answered: this was the answer. reused: another request.
 */
export type Begun =
  | { readonly kind: "go_on"; readonly resource: string }
  | { readonly kind: "answered"; readonly status: number; readonly body: unknown }
  | { readonly kind: "reused" };

const ofKey = ({ team, actor, key }: IdempotencyKey) =>
  and(eq(idempotencyKeys.teamId, team), eq(idempotencyKeys.actor, actor), eq(idempotencyKeys.key, key));

/** operation: which write (`POST /v1/apps`). requestHashes: of its body, the one to keep first. resource: a freshly minted id. One round trip. */
export async function beginIdempotent(
  db: Database,
  input: IdempotencyKey & { operation: string; requestHashes: readonly [string, ...string[]]; resource: string },
): Promise<Begun> {
  const { team, actor, key, operation, requestHashes, resource } = input;
  const [requestHash] = requestHashes;
  const [, [row]] = await db.runAll({ kind: "team", team }, (statements) => [
    statements
      .insert(idempotencyKeys)
      .values({ teamId: team, actor, key, operation, requestHash, resource })
      .onConflictDoNothing(),
    statements.select().from(idempotencyKeys).where(ofKey(input)),
  ]);
  if (row === undefined) throw new Error("the idempotency key was swept away while it was used");
  if (row.operation !== operation || !requestHashes.includes(row.requestHash)) return { kind: "reused" };
  if (row.status !== null) return { kind: "answered", status: row.status, body: row.body };
  return { kind: "go_on", resource: row.resource };
}

/** Keeps the answer. The first one stays, if two tries finish at once. */
export async function finishIdempotent(
  db: Database,
  input: IdempotencyKey & { status: number; body: unknown },
): Promise<void> {
  await db.run({ kind: "team", team: input.team }, (statements) =>
    statements
      .update(idempotencyKeys)
      .set({ status: input.status, body: input.body })
      .where(and(ofKey(input), isNull(idempotencyKeys.status))),
  );
}

/** Forgets keys older than a day; for the cron sweep. Answers how many. */
export async function sweepIdempotencyKeys(db: Database): Promise<number> {
  const gone = await db.run({ kind: "sweep" }, (statements) =>
    statements
      .delete(idempotencyKeys)
      .where(lt(idempotencyKeys.createdAtMs, sql`now() - interval '1 day'`))
      .returning({ key: idempotencyKeys.key }),
  );
  return gone.length;
}
