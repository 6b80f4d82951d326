// What a peer answers about names: by whatever plays the control plane's part of it. Throwing there is a provider of DNS that is away.

export type NamesAnswer = (path: string, body: unknown) => object;
const PATHS: ReadonlySet<string> = new Set(["/agent/v1/name", "/agent/v1/acme-challenge"]);

/** Null: it is about something else, or nodes have no names here. */
export function answerNames(
  names: NamesAnswer | null,
  url: string,
  body: Buffer,
  nowMs: number,
): { readonly ok: true; readonly body: object } | { readonly ok: false } | null {
  if (names === null || !PATHS.has(url)) return null;
  try {
    return { ok: true, body: { nowMs, ...names(url, JSON.parse(body.toString("utf8"))) } };
  } catch {
    return { ok: false };
  }
}
