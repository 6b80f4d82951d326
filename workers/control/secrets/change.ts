// A change of an app's environment: sealed values and references in, one release out, and a line of history for each variable.
import type { Accepted } from "../../../contracts/api.ts";
import { recordEnvironment } from "../../../db/queries/environments.ts";
import type { AppRecord } from "../../../db/queries/apps.ts";
import type { ControlRequest } from "../http/context.ts";
import { databaseOf } from "../http/database.ts";
import { byOf } from "../http/deed.ts";
import { askedBy } from "../http/idempotency.ts";
import { releaseWithin, type startRelease } from "../quota/change-within.ts";
import { requestHashes } from "./seal.ts";

export interface EnvironmentChange {
  /** By variable: sealed, or a reference. */
  readonly set: Readonly<Record<string, string>>;
  readonly unset: readonly string[];
  /** What was asked for, in the clear: for a keyed hash, by which the same request is known again. */
  readonly request: readonly unknown[];
}

export async function changeEnvironment(
  c: ControlRequest,
  app: AppRecord,
  spent: Awaited<ReturnType<typeof startRelease>>,
  { set, unset, request }: EnvironmentChange,
): Promise<Accepted> {
  const [requestHash, ...olderHashes] = await requestHashes(c.env.SECRETS_KEYS, [app.id, ...request]);
  const input = { set: { ...set }, unset, requestHash, olderHashes };
  const result = await releaseWithin(c, app, spent, (object, asked) =>
    object.changeEnvironment({ ...asked, ...input }),
  );
  const { idempotencyKey: change } = askedBy(c);
  const history = { ...byOf(c), team: app.team, app: app.id, set, unset, change };
  // Whoever is told that it was done can go back to it: with the same key it is done once and recorded once.
  await recordEnvironment(databaseOf(c.env), history);
  return result;
}
