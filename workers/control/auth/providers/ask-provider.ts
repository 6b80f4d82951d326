// The one way to what a sign-in provider says: addresses that a user gave, so bounded in time and size, and never redirected elsewhere.
import type { z } from "zod";
import { boundedText, guardedFetch, OutboundRefused } from "../../outbound/guarded-fetch.ts";
import type { AuthEnv } from "../caller.ts";

export type ProviderFetch = (url: string, init?: RequestInit) => Promise<Response>;

/** A person waits for it, on a page. */
const PATIENCE_MS = 5_000;
/** Documents and key sets of real providers have some ten kilobytes. */
const BYTES_MAX = 512 * 1024;

/** It did not answer, or not with what the protocol says: in words that go on behind its name. */
export class ProviderAway extends Error {}

/** Through the guard for what users name: neither into a private network, nor without TLS but where the operator opened a way. */
export function providerFetch(env: AuthEnv): ProviderFetch {
  return async (url, { method, headers, body } = {}) => {
    const init = {
      ...(method === "POST" ? { method: "POST" as const, body: String(body) } : {}),
      ...{ headers: Object.fromEntries(new Headers(headers)), timeoutMs: PATIENCE_MS },
    };
    return guardedFetch(env, url, init).catch((error: unknown) => {
      const why = error instanceof OutboundRefused ? `may not be asked: ${url} ${error.message}` : "does not answer";
      throw new ProviderAway(why);
    });
  };
}

export async function readJson<Schema extends z.ZodType>(schema: Schema, answer: Response): Promise<z.infer<Schema>> {
  const text = await boundedText(answer, BYTES_MAX).catch(() => {
    throw new ProviderAway("answers more than anybody reads, or not to its end");
  });
  if (!answer.ok) throw new ProviderAway(`answers ${answer.status}`);
  const parsed = schema.safeParse(jsonOf(text));
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0];
  throw new ProviderAway(`answers what is no OpenID (${issue?.path.join(".") || "it"}: ${issue?.message ?? ""})`);
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}
