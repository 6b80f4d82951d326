// From `{app}` in a path to the app: id or name, within the caller's team and nowhere else.
import type { AppId } from "../../../contracts/ids.ts";
import { findApp, type AppRecord } from "../../../db/queries/apps.ts";
import { recordAudit } from "../../../db/queries/audit.ts";
import type { ControlRequest } from "../http/context.ts";
import { databaseOf } from "../http/database.ts";
import { fail } from "../http/problem.ts";

/** Whose an app is and where it lives never changes, and the App object itself knows whether it is destroyed. */
const BY_ID_FRESH_MS = 60_000;
/** A name may pass to another app of the same team. */
const BY_NAME_FRESH_MS = 3_000;
const KNOWN_MAX = 10_000;

const known = new Map<string, { readonly app: AppRecord; readonly untilMs: number }>();

export async function appOf(c: ControlRequest, idOrName: string): Promise<AppRecord> {
  const { team, actor } = c.get("caller");
  const nowMs = Date.now();
  const key = `${team.id} ${idOrName}`;
  const cached = known.get(key);
  if (cached !== undefined && nowMs < cached.untilMs) return cached.app;
  const database = databaseOf(c.env);
  const app = await findApp(database, team.id, idOrName);
  if (app === null) {
    const requestId = c.get("requestId");
    const refused = { team: team.id, actor, requestId, action: "app.find", subject: idOrName, outcome: "not_found" };
    c.executionCtx.waitUntil(recordAudit(database, refused).catch(() => undefined));
    return fail("not_found", `This team has no app ${idOrName}.`);
  }
  if (known.size >= KNOWN_MAX) known.clear();
  const freshMs = idOrName === app.id ? BY_ID_FRESH_MS : BY_NAME_FRESH_MS;
  known.set(key, { app, untilMs: nowMs + freshMs });
  return app;
}

export function forgetApp(team: string, app: { readonly id: AppId; readonly name: string }): void {
  known.delete(`${team} ${app.id}`);
  known.delete(`${team} ${app.name}`);
}
