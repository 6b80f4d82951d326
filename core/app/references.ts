// Variables that are another app's: the draft holds where each comes from, a release the value that it had when the release was made.
import { readReference, type EnvironmentDraft, type Reference } from "../../contracts/environment.ts";
import type { Result } from "../../contracts/failures.ts";
import { ok, refuse } from "../results.ts";
import { appOf, type AppContext } from "./context.ts";
import type { AppInputs, Resolved, SealedEnvironment } from "./types.ts";

/** Beside a release's environment: which of its values came from where, for a rollback to follow them again. */
const referencesKey = (release: string): string => `refs:${release}`;
export const isReferencesKey = (key: string): boolean => key.startsWith("refs:");

const referencesOf = (environment: SealedEnvironment): Record<string, string> =>
  Object.fromEntries(Object.entries(environment).filter(([, text]) => readReference(text) !== null));

/** Nothing of the event may be kept where it is refused: whoever asks comes again with the values. */
export function unresolvedFault(environment: SealedEnvironment, resolved: Resolved = {}): Result<never> | null {
  const open = Object.entries(referencesOf(environment)).filter(([name, text]) => resolved[name]?.reference !== text);
  if (open.length === 0) return null;
  const message = "Variables that it has from other apps changed meanwhile; try again.";
  return refuse("conflict", message, { unresolved: Object.fromEntries(open) });
}

export function takeSnapshot(ctx: AppContext, release: string, draft: SealedEnvironment, resolved: Resolved): void {
  const references = referencesOf(draft);
  const values = Object.keys(references).map((name) => [name, resolved[name]!.sealed]);
  ctx.draft.put("environments", release, { ...draft, ...Object.fromEntries(values) });
  if (values.length > 0) ctx.draft.put("environments", referencesKey(release), references);
}

/** The draft of which the release was made. */
export const draftOf = ({ draft }: AppContext, release: string): SealedEnvironment => ({
  ...draft.get("environments", release),
  ...draft.get("environments", referencesKey(release)),
});

export function forgetSnapshot({ draft }: AppContext, release: string): void {
  draft.drop("environments", release);
  draft.drop("environments", referencesKey(release));
}

/** What the next release would carry: where each variable comes from, and of those named what is stored. */
export function readDraft(ctx: AppContext, { names }: AppInputs["readDraft"]): Result<EnvironmentDraft> {
  const { team, app } = appOf(ctx);
  const environment = ctx.draft.get("environments", "draft") ?? {};
  const references: Record<string, Reference> = {};
  for (const [name, text] of Object.entries(referencesOf(environment))) references[name] = readReference(text)!;
  const stored = Object.fromEntries(
    names.flatMap((name) => (Object.hasOwn(environment, name) ? [[name, environment[name]!]] : [])),
  );
  return ok({ team, app, names: Object.keys(environment).sort(), references, stored });
}
