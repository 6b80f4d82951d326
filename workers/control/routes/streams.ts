// What an app says while it runs: its events as SSE, its instances' logs as NDJSON.
import { createRoute, z } from "@hono/zod-openapi";
import { page, PageQuery } from "../../../contracts/api.ts";
import { BerthEvent } from "../../../contracts/events.ts";
import { InstanceId } from "../../../contracts/ids.ts";
import { listAppEvents } from "../../../db/queries/history.ts";
import { appOf } from "../apps/find-app.ts";
import { stillAllowed } from "../http/authorise.ts";
import { newApi, type ControlRequest } from "../http/context.ts";
import { databaseOf } from "../http/database.ts";
import { failField } from "../http/problem.ts";
import { AppParam, json, READ_PROBLEMS, SIGNED_IN, unwrap } from "../http/respond.ts";
import { eventStream } from "../streams/events.ts";
import { logStream } from "../streams/logs.ts";

const tags = ["Apps"];
const security = SIGNED_IN;
const whole = z.string().regex(/^\d{1,15}$/, { message: "must be a whole number" });
const flag = z.enum(["0", "1"]).default("0");

const eventsRoute = createRoute({
  method: "get",
  path: "/v1/apps/{app}/events",
  operationId: "events",
  tags,
  security,
  summary: "Stream an app's events",
  description:
    "Server-sent events: id is the event's seq, data the event as JSON. Begins after `last-event-id`, else after `after`, " +
    "else at the oldest that is kept. A comment every 15 s keeps it open.",
  request: {
    params: AppParam,
    query: z.strictObject({ after: whole.optional() }),
    headers: z.object({ "last-event-id": z.string().optional() }),
  },
  responses: {
    200: { description: "The stream.", content: { "text/event-stream": { schema: z.string() } } },
    ...READ_PROBLEMS,
  },
});
const historyRoute = createRoute({
  method: "get",
  path: "/v1/apps/{app}/history",
  operationId: "listAppEvents",
  tags,
  security,
  summary: "List an app's events",
  description: "From history, which is a moment behind the stream and reaches back to the beginning.",
  request: { params: AppParam, query: PageQuery },
  responses: { 200: json(page(BerthEvent), "A page of events, newest first."), ...READ_PROBLEMS },
});
const logsRoute = createRoute({
  method: "get",
  path: "/v1/apps/{app}/logs",
  operationId: "logs",
  tags,
  security,
  summary: "Read or follow an app's logs",
  description:
    "One JSON object a line: {atMs, stream, line, instance, node}. stream `berth` is the platform speaking, for instance where " +
    "a node cannot be reached.",
  request: {
    params: AppParam,
    query: z.strictObject({
      follow: flag.meta({ description: "1: stay open and show lines as they come." }),
      tail: z.coerce
        .number()
        .int()
        .min(0)
        .max(1_000)
        .default(100)
        .meta({ description: "Last lines of each instance." }),
      instance: InstanceId.optional().meta({ description: "Of this instance alone, ended ones included." }),
    }),
  },
  responses: {
    200: { description: "The lines.", content: { "application/x-ndjson": { schema: z.string() } } },
    ...READ_PROBLEMS,
  },
});

/** What an answer needs that goes on after its headers. */
const lasting = (c: ControlRequest) => ({
  signal: c.req.raw.signal,
  stillAllowed: stillAllowed(c),
  waitUntil: (work: Promise<unknown>) => c.executionCtx.waitUntil(work),
});

export const streams = newApi()
  .openapi(eventsRoute, async (c) => {
    const after = c.req.header("last-event-id") ?? c.req.valid("query").after ?? "0";
    if (!whole.safeParse(after).success) {
      failField("invalid_request", { pointer: "header:last-event-id", rule: "seq", message: "must be a whole number" });
    }
    const app = await appOf(c, c.req.valid("param").app);
    const stream = { app: app.id, team: app.team, afterSeq: Number(after), ...lasting(c) };
    return c.body(await eventStream(c.env, stream), 200, {
      "content-type": "text/event-stream; charset=utf-8",
      "cache-control": "no-store",
    });
  })
  .openapi(historyRoute, async (c) => {
    const app = await appOf(c, c.req.valid("param").app);
    const wanted = { team: app.team, app: app.id, ...c.req.valid("query") };
    return c.json(unwrap(await listAppEvents(databaseOf(c.env), wanted)), 200);
  })
  .openapi(logsRoute, async (c) => {
    const { follow, tail, instance } = c.req.valid("query");
    const app = await appOf(c, c.req.valid("param").app);
    const wanted = { app, instance: instance ?? null, tail, follow: follow === "1" };
    const lines = logStream(c.env, { ...wanted, ...lasting(c) });
    const headers = { "content-type": "application/x-ndjson; charset=utf-8", "cache-control": "no-store" };
    // The route's types know answers of JSON and text only.
    return c.body(lines, 200, headers) as never;
  });
