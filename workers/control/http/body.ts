// How much a request may bring, judged before anything reads it; and bodies read whole for the agent's endpoints.
import type { MiddlewareHandler } from "hono";
import { LOAD_BYTES_MAX } from "../../../contracts/backup.ts";
import { bodyLimit } from "hono/body-limit";
import type { ControlContext } from "./context.ts";
import { fail } from "./problem.ts";

/** 500 variables of 2 KB each, and far more than any release. */
export const JSON_BYTES_MAX = 1_000_000;
/** 250 instances in twelve metering rows. */
export const HEARTBEAT_BYTES_MAX = 4_000_000;
/** What a Worker accepts at all. */
export const BUNDLE_BYTES_MAX = 100_000_000;

/** Reads a body without a declared length up to the limit, and no further. Bundles are streamed: their own route judges them. */
export const limitBodies: MiddlewareHandler<ControlContext> = (c, next) => {
  if (isBundle(c.req.method, c.req.path)) return next();
  if (c.req.path === "/restore/v1/objects") return restored(c, next);
  const heartbeat = c.req.path === "/agent/v1/heartbeat";
  return (heartbeat ? heartbeats : documents)(c, next);
};

const limited = (maxSize: number) =>
  bodyLimit({ maxSize, onError: () => fail("payload_too_large", `The body may have at most ${maxSize} bytes.`) });
const documents = limited(JSON_BYTES_MAX);
const heartbeats = limited(HEARTBEAT_BYTES_MAX);
const restored = limited(LOAD_BYTES_MAX);

const isBundle = (method: string, path: string): boolean =>
  method === "PUT" && /^(\/v1\/(apps\/[^/]+\/bundles|agent-bundles)\/[^/]+|\/restore\/v1\/bundle)$/.test(path);

export function parseJson(body: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(body));
  } catch {
    // The parser's own message quotes the body.
    return fail("malformed_json", "The body is not valid JSON.", {
      errors: [{ pointer: "", rule: "json", message: "must be valid JSON" }],
    });
  }
}
