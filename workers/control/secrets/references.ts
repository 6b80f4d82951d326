// Variables that are another app's, at the moment of a release: followed to a value within the team, opened, and sealed for the app that wants it.
import { readReference, referenceText, type Reference } from "../../../contracts/environment.ts";
import type { TeamId } from "../../../contracts/ids.ts";
import type { Resolved } from "../../../core/app/types.ts";
import { findApp, type AppRecord } from "../../../db/queries/apps.ts";
import { askApp } from "../apps/app-object.ts";
import { appOf } from "../apps/find-app.ts";
import type { ControlRequest } from "../http/context.ts";
import { databaseOf } from "../http/database.ts";
import { failField } from "../http/problem.ts";
import { inBatches } from "../http/ask.ts";
import { open, seal } from "./seal.ts";

/** A variable of a variable of a variable … : more than this is a mistake. */
const STEPS_MAX = 8;
const WIDTH = 6;

interface Wanting {
  readonly app: Pick<AppRecord, "id" | "name" | "team">;
  readonly name: string;
  /** Where the request names it. */
  readonly pointer: string;
}

/**
 * From what a person wrote, by name or id, to what is kept. Whoever writes it must be allowed to change that app's environment too:
 * a value that was put into one's own app can be read there. Each is followed to its end, so that a mistake is told at once.
 */
export async function checkReferences(
  c: ControlRequest,
  app: AppRecord,
  written: Readonly<Record<string, string>>,
  pointer: string,
): Promise<Record<string, string>> {
  const kept: Record<string, string> = {};
  for (const [name, text] of Object.entries(written)) {
    const [source = "", variable = ""] = text.split(".");
    const from = await appOf(c, source);
    const reference = { app: from.id, name: variable };
    await valueOf(c, { app, name, pointer: `${pointer}/${name}` }, reference, []);
    kept[name] = referenceText(reference);
  }
  return kept;
}

export async function resolveReferences(
  c: ControlRequest,
  app: AppRecord,
  unresolved: Readonly<Record<string, string>>,
): Promise<Resolved> {
  const resolved = await inBatches(Object.entries(unresolved), WIDTH, async ([name, text]) => {
    const wanting = { app, name, pointer: `/references/${name}` };
    const value = await valueOf(c, wanting, readReference(text)!, []);
    const sealed = await seal(c.env.SECRETS_KEYS, { team: app.team, scope: app.id, name }, value);
    return [name, { reference: text, sealed }] as const;
  });
  return Object.fromEntries(resolved);
}

async function valueOf(c: ControlRequest, wanting: Wanting, to: Reference, way: readonly string[]): Promise<string> {
  const here = `${wanting.app.name}.${wanting.name}`;
  const gone = [...way, here];
  const { pointer } = wanting;
  const refuse = (rule: string, message: string): never => failField("unprocessable", { pointer, rule, message });
  const from = await sourceOf(c, wanting.app.team, to);
  if (from === null)
    return refuse("app", `${here} is to come from an app that is not there any more: unset it, or set it anew`);
  const next = `${from.name}.${to.name}`;
  if (gone.includes(next)) refuse("circle", `goes in a circle: ${[...gone, next].join(" → ")}`);
  if (gone.length >= STEPS_MAX) refuse("depth", `goes through more than ${STEPS_MAX} apps: ${gone.join(" → ")}`);
  const draft = await askApp(c, from, (object) => object.readDraft({ names: [to.name] }), { repeatable: true });
  // Of another team nothing is ever opened, whatever a name may have come to mean.
  const text = draft.team === wanting.app.team ? draft.stored[to.name] : undefined;
  if (text === undefined)
    return refuse("variable", `${here} is to come from ${next}, which is not set: berth env set ${to.name}=… --app ${from.name}`); // prettier-ignore
  const further = readReference(text);
  if (further !== null) return valueOf(c, { app: from, name: to.name, pointer }, further, gone);
  return open(c.env.SECRETS_KEYS, { team: from.team, scope: from.id, name: to.name }, text);
}

async function sourceOf(c: ControlRequest, team: TeamId, { app }: Reference): Promise<AppRecord | null> {
  const found = await findApp(databaseOf(c.env), team, app);
  return found === null || found.destroyedAtMs !== null ? null : found;
}
