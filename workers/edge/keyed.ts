// The edge's environment with the ticket keys of now: those it was given, or the ring that a rotation made of them since.
import { DOCUMENT_CACHE_TTL_S, EDGE_DOCUMENT, EdgeDocument, openAtEdge } from "../keys/documents.ts";
import { Fresh } from "../keys/fresh.ts";
import type { EdgeEnv } from "./env.ts";

/** As a route's copy. */
const FRESH_MS = 5_000;
const keyed = new Fresh<EdgeEnv>({ freshMs: FRESH_MS, nowMs: () => Date.now() });

/** No wait and no promise in steady state. */
export const freshKeyed = (): EdgeEnv | null => (keyed.isFresh ? keyed.known : null);

export async function keyedEnv(env: EdgeEnv, keepAlive: (work: Promise<unknown>) => void): Promise<EdgeEnv> {
  // Where KV does not answer, what the Worker was given is all there is.
  return (await keyed.get(() => read(env), keepAlive)) ?? env;
}

async function read(env: EdgeEnv): Promise<EdgeEnv> {
  const found = await env.ROUTES.get(EDGE_DOCUMENT, { type: "json", cacheTtl: DOCUMENT_CACHE_TTL_S });
  if (found === null) return env;
  const { sealed } = EdgeDocument.parse(found);
  return { ...env, TICKET_SIGNING_KEY: await openAtEdge(env.TICKET_SIGNING_KEY, sealed) };
}
