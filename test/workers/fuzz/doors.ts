// The two ways in for fuzzing: the whole Worker; and its routes behind a door that knows its caller, so that thousands of inputs a minute
// reach the parsers and handlers, instead of asking Postgres thousands of times who asks.
import { createExecutionContext, waitOnExecutionContext } from "cloudflare:test";
import { Hono } from "hono";
import { app } from "../../../workers/control/app.ts";
import type { Caller } from "../../../workers/control/auth/caller.ts";
import { ACCESS } from "../../../workers/control/http/access.ts";
import type { ControlContext } from "../../../workers/control/http/context.ts";
import { beginDeed } from "../../../workers/control/http/deed.ts";
import { answerError, problemResponse } from "../../../workers/control/http/problem.ts";
import { env as standard } from "../access-world.ts";
import type { Input, Operation } from "./inputs.ts";

/** Who guesses passwords is made to wait, which is no hang: here nobody has guessed too often yet. */
const env = { ...standard, TUNING: JSON.stringify({ apiRequestsPerMinute: 1_000_000, signInFailuresMax: 1_000_000 }) };

type Door = (request: Request, operation: Operation) => Promise<Response>;
const ORIGIN = "https://api.berth.test";

export function requestOf({ method, path, headers, body }: Input, bearer: string | null): Request {
  const all = new Headers(headers);
  if (bearer !== null) all.set("authorization", `Bearer ${bearer}`);
  return new Request(ORIGIN + path, { method, headers: all, ...(body === null ? {} : { body }) });
}

export const wholeWorker: Door = async (request) => {
  const context = createExecutionContext();
  const answer = await app.fetch(request, env, context);
  void waitOnExecutionContext(context);
  return answer;
};

/** The same handlers, in the same order, without those that ask who is there and count. */
export function knownCaller(caller: Caller): Door {
  const routes = new Hono<ControlContext & { Variables: { operation: Operation } }>();
  let operation: Operation | null = null;
  routes.use(async (c, next) => {
    const access = operation === null ? undefined : ACCESS[operation.id];
    if (access === undefined) throw new Error("no line in the table of rights");
    c.set("caller", caller);
    c.set("access", access);
    c.set("verdict", { kind: "allowed" });
    beginDeed(c as never, access, caller);
    await next();
  });
  for (const { method, path, handler } of app.routes) {
    if (path === "/v1/*") continue;
    routes.on(method, path, handler as never);
  }
  routes.notFound((c) => problemResponse({ code: "not_found", message: "There is nothing here." }, c.get("requestId")));
  routes.onError((error, c) => answerError(error, c.get("requestId")));
  return async (request, asked) => {
    operation = asked;
    const context = createExecutionContext();
    const answer = routes.fetch(request, env, context);
    void waitOnExecutionContext(context);
    return answer;
  };
}
