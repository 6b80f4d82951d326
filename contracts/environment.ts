// An app's environment on the wire: what is set, what is another app's, and every version that a variable ever had. Never a value on its way out.
import { z } from "zod";
import { AppId, AtMs, type TeamId } from "./ids.ts";
import { EnvName, EnvValue } from "./release.ts";

/** What a person writes. An app's name has no dot, nor has a variable's. */
export const WrittenReference = z
  .string()
  .max(256)
  .regex(/^[A-Za-z0-9_-]+\.[A-Za-z_][A-Za-z0-9_]*$/, { message: "must be an app and its variable: api.DATABASE_URL" });

export const Reference = z.object({ app: AppId, name: EnvName });
export type Reference = z.infer<typeof Reference>;

const PREFIX = "ref:";

/** In the place of a sealed value, which begins with {: no secret, so that the App object can tell it. */
export const referenceText = ({ app, name }: Reference): string => `${PREFIX}${app}.${name}`;

export function readReference(text: string): Reference | null {
  if (!text.startsWith(PREFIX)) return null;
  const [app, name] = text.slice(PREFIX.length).split(".");
  return Reference.safeParse({ app, name }).data ?? null;
}

/** PATCH /v1/apps/{app}/env. Values are sealed at once and never shown. Makes and rolls out a new release if the app has one. */
export const EnvPatch = z.strictObject({
  set: z.record(EnvName, EnvValue).default({}),
  /** Variables of other apps of the team, such as `api.DATABASE_URL`: looked up when a release is made. */
  references: z.record(EnvName, WrittenReference).default({}),
  unset: z.array(EnvName).max(500).default([]),
});
export type EnvPatch = z.infer<typeof EnvPatch>;
/** Of an app's environment: what the next release would carry. stored: sealed, or a reference; for the platform alone. */
export interface EnvironmentDraft {
  readonly team: TeamId;
  readonly app: AppId;
  readonly names: readonly string[];
  readonly references: Readonly<Record<string, Reference>>;
  readonly stored: Readonly<Record<string, string>>;
}
export const Environment = z.object({
  names: z.array(z.string()),
  /** Which of them are another app's variable. */
  references: z.record(z.string(), z.object({ app: AppId, appName: z.string(), name: z.string() })),
});
/** One variable at one time. version: counted from 1 for each variable, and never used twice. */
export const EnvironmentVersion = z.object({
  name: z.string(),
  version: z.int(),
  kind: z.enum(["value", "reference", "removed"]),
  actor: z.string(),
  createdAtMs: AtMs,
});
export type EnvironmentVersion = z.infer<typeof EnvironmentVersion>;
/** POST /v1/apps/{app}/env/rollback: each variable to the version it had, all in one release. */
export const EnvRollback = z.strictObject({
  versions: z.record(EnvName, z.int().min(1)).refine((all) => Object.keys(all).length > 0, {
    message: "names no variable",
  }),
});
