// From `{app}` in a path to the app: id or name, within the caller's team and nowhere else.
import type { AppId, ProjectId } from "../../../contracts/ids.ts";
import { findApp, type AppRecord } from "../../../db/queries/apps.ts";
import { requireThing } from "../http/authorise.ts";
import type { ControlRequest } from "../http/context.ts";
import { databaseOf } from "../http/database.ts";
import { aboutDeed } from "../http/deed.ts";
import { fail } from "../http/problem.ts";

/** Whose an app is and where it lives never changes, and the App object itself knows whether it is destroyed. */
const BY_ID_FRESH_MS = 60_000;
/** A name may pass to another app of the same team. */
const BY_NAME_FRESH_MS = 3_000;
const KNOWN_MAX = 10_000;

const known = new Map<string, { readonly app: AppRecord; readonly untilMs: number }>();

export async function appOf(c: ControlRequest, idOrName: string): Promise<AppRecord> {
  const { team } = c.get("caller");
  const nowMs = Date.now();
  const key = `${team.id} ${idOrName}`;
  const cached = known.get(key);
  if (cached !== undefined && nowMs < cached.untilMs) return permitted(c, cached.app, idOrName);
  aboutDeed(c, { subject: idOrName });
  const app = await findApp(databaseOf(c.env), team.id, idOrName);
  if (app === null) return noSuchApp(idOrName);
  if (known.size >= KNOWN_MAX) known.clear();
  const freshMs = idOrName === app.id ? BY_ID_FRESH_MS : BY_NAME_FRESH_MS;
  known.set(key, { app, untilMs: nowMs + freshMs });
  return permitted(c, app, idOrName);
}

const noSuchApp = (idOrName: string): never => fail("not_found", `This team has no app ${idOrName}.`);

/** Whether the caller may do this to this very app: one of a project that is not theirs is not there. */
function permitted(c: ControlRequest, app: AppRecord, idOrName: string): AppRecord {
  aboutDeed(c, { subject: app.id });
  requireThing(c, factsOf(c, app), () => noSuchApp(idOrName));
  return app;
}

/** What core/authorise wants to know of an app. */
export function factsOf(c: ControlRequest, app: AppRecord): { project: ProjectId; own: boolean } {
  const { actor, user } = c.get("caller");
  return { project: app.project, own: app.createdBy === actor || app.createdBy === `user:${user.id}` };
}

export function forgetApp(team: string, app: { readonly id: AppId; readonly name: string }): void {
  known.delete(`${team} ${app.id}`);
  known.delete(`${team} ${app.name}`);
}
