// BETTER_AUTH_SECRET as it is used: one text, or after a rotation a ring of them by version.
import { z } from "zod";

/** secrets: sessions by them are believed. retired: only what was stored by them (second factors) still opens. */
const SessionRing = z.object({
  current: z.string(),
  secrets: z.record(z.string(), z.string()),
  retired: z.record(z.string(), z.string()),
});
export type SessionRing = z.infer<typeof SessionRing>;

/** The secret that signs first, then those that are believed still. A plain text is one secret. */
export function sessionSecrets(text: string): [string, ...string[]] {
  if (!text.startsWith("{")) return [text];
  const { current, secrets } = SessionRing.parse(JSON.parse(text));
  const older = Object.keys(secrets).filter((version) => version !== current);
  return [secrets[current]!, ...older.map((version) => secrets[version]!)];
}

export interface SessionVersion {
  readonly version: number;
  readonly value: string;
}

/** As better-auth takes them, for what it stores: numbered, the one in use first. */
export function sessionVersions(text: string): [SessionVersion, ...SessionVersion[]] {
  if (!text.startsWith("{")) return [{ version: 1, value: text }];
  const { current, secrets, retired } = SessionRing.parse(JSON.parse(text));
  const all = { ...retired, ...secrets };
  const numbered = (version: string): SessionVersion => ({ version: Number(version), value: all[version]! });
  const older = Object.keys(all).filter((version) => version !== current);
  return [numbered(current), ...older.map(numbered)];
}
