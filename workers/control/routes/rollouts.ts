// Rollouts: watched and commanded; and the instances that they made.
import { createRoute, z } from "@hono/zod-openapi";
import { etag } from "hono/etag";
import { Instance, page, PageQuery, Rollout } from "../../../contracts/api.ts";
import { RolloutId } from "../../../contracts/ids.ts";
import { ROLLOUT_COMMANDS, RolloutCommandBody } from "../../../contracts/rollout-plan.ts";
import { listRolloutHistory } from "../../../db/queries/history.ts";
import { encodeCursor } from "../../../db/queries/page.ts";
import { askApp, changeApp } from "../apps/app-object.ts";
import { appOf } from "../apps/find-app.ts";
import { newApi } from "../http/context.ts";
import { falling, pageOfAll, rising } from "../http/cursor.ts";
import { databaseOf } from "../http/database.ts";
import { aboutDeed } from "../http/deed.ts";
import { failField } from "../http/problem.ts";
import {
  AppParam,
  IdempotencyHeader,
  json,
  problems,
  READ_PROBLEMS,
  SIGNED_IN,
  unwrap,
  WRITE_PROBLEMS,
} from "../http/respond.ts";

const security = SIGNED_IN;
/** An ETag of etagOf (weak where something on the way compressed the answer: the revision is what counts), its revision alone, or anything. */
const IF_MATCH = /^(?:\*|(?:W\/)?"?(\d{1,9})(?:\.[0-9a-f]{12})?"?)$/;
const params = AppParam.extend({ rollout: RolloutId });

const listRolloutsRoute = createRoute({
  method: "get",
  path: "/v1/apps/{app}/rollouts",
  operationId: "listRollouts",
  tags: ["Rollouts"],
  security,
  summary: "List rollouts",
  request: { params: AppParam, query: PageQuery },
  responses: {
    200: json(page(Rollout), "Newest first; the first page as the app knows them, later ones from history."),
    ...READ_PROBLEMS,
  },
});
const readRolloutRoute = createRoute({
  method: "get",
  path: "/v1/apps/{app}/rollouts/{rollout}",
  operationId: "readRollout",
  tags: ["Rollouts"],
  security,
  summary: "Watch a rollout",
  request: { params },
  middleware: [etag()] as const,
  responses: {
    200: json(Rollout, "How far it is, what it waits for, and why it ended."),
    304: { description: "As the ETag in if-none-match has it." },
    ...READ_PROBLEMS,
  },
});
const commandRolloutRoute = createRoute({
  method: "post",
  path: "/v1/apps/{app}/rollouts/{rollout}/{command}",
  operationId: "commandRollout",
  tags: ["Rollouts"],
  security,
  summary: "Pause, resume, promote, abort or cancel a rollout",
  description:
    "pause holds it where it is; its deadline goes on. promote ends the present hold: the next step, or the switch; full, all that is left of the plan. abort and cancel give back everything " +
    "to what served before; abort says that the release is bad, cancel that somebody changed their mind. With If-Match only while the rollout is as its ETag has it.",
  request: {
    params: params.extend({ command: z.enum(ROLLOUT_COMMANDS) }),
    headers: IdempotencyHeader.extend({
      "if-match": z
        .string()
        .regex(IF_MATCH, { message: 'must be one ETag of the rollout, such as "7", or *' })
        .optional()
        .meta({ description: "The rollout's ETag. If it has gone on since: 412." }),
    }),
    body: { required: false, content: { "application/json": { schema: RolloutCommandBody } } },
  },
  responses: { 202: json(Rollout, "As the rollout is now."), ...WRITE_PROBLEMS, ...problems(412) },
});
const listInstancesRoute = createRoute({
  method: "get",
  path: "/v1/apps/{app}/instances",
  operationId: "listInstances",
  tags: ["Apps"],
  security,
  summary: "List instances",
  request: {
    params: AppParam,
    query: PageQuery.extend({
      all: z
        .enum(["true", "false"])
        .default("false")
        .meta({ description: "Those that have ended too, as far as kept." }),
    }),
  },
  responses: {
    200: json(page(Instance), "A page of where the app runs: the newest version first, then by slot."),
    ...READ_PROBLEMS,
  },
});

export const rollouts = newApi()
  .openapi(listRolloutsRoute, async (c) => {
    const { limit, cursor } = c.req.valid("query");
    const app = await appOf(c, c.req.valid("param").app);
    if (cursor !== undefined) {
      const older = await listRolloutHistory(databaseOf(c.env), app.team, app.id, { limit, cursor });
      return c.json(unwrap(older), 200);
    }
    const { items } = await askApp(c, app, (object) => object.listRollouts({ limit }), { repeatable: true });
    const last = items.at(-1);
    return c.json({ items, nextCursor: last && items.length === limit ? encodeCursor(last.id) : null }, 200);
  })
  .openapi(readRolloutRoute, async (c) => {
    const { app: name, rollout } = c.req.valid("param");
    const app = await appOf(c, name);
    const now = await askApp(c, app, (object) => object.readRollout({ rollout }), { repeatable: true });
    c.header("etag", await etagOf(now));
    return c.json(now, 200);
  })
  .openapi(commandRolloutRoute, async (c) => {
    const { app: name, rollout, command } = c.req.valid("param");
    const { reason, full } = c.req.valid("json") ?? {};
    if (full && command !== "promote") {
      failField("invalid_request", {
        pointer: "/full",
        rule: "promote",
        message: `belongs to promote alone, not to ${command}`,
      });
    }
    const ifRevision = revisionOf(c.req.valid("header")["if-match"]);
    const app = await appOf(c, name);
    const input = {
      rollout,
      command,
      ...(ifRevision === null ? {} : { ifRevision }),
      ...(reason === undefined ? {} : { reason }),
      ...(full === undefined ? {} : { full }),
    };
    aboutDeed(c, { after: { rollout, command, ...(reason === undefined ? {} : { reason }) } });
    const now = await changeApp(c, app, (object, asked) => object.controlRollout({ ...asked, ...input }));
    c.header("location", `/v1/apps/${app.id}/rollouts/${rollout}`);
    c.header("etag", await etagOf(now));
    return c.json(now, 202);
  })
  .openapi(listInstancesRoute, async (c) => {
    const { all, ...wanted } = c.req.valid("query");
    const app = await appOf(c, c.req.valid("param").app);
    const ask = { all: all === "true" };
    const { items } = await askApp(c, app, (object) => object.listInstances(ask), { repeatable: true });
    return c.json(pageOfAll(items, wanted, instanceOrder), 200);
  });

/** The revision, which If-Match is held against, and what else may change of a rollout in between. */
async function etagOf(rollout: Rollout): Promise<string> {
  const digest = await crypto.subtle.digest("SHA-1", new TextEncoder().encode(JSON.stringify(rollout)));
  const hash = [...new Uint8Array(digest, 0, 6)].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  return `"${rollout.revision}.${hash}"`;
}

/** null: whatever it is. */
function revisionOf(ifMatch: string | undefined): number | null {
  const found = IF_MATCH.exec(ifMatch ?? "");
  return found?.[1] === undefined ? null : Number(found[1]);
}

/** The newest version first, then by slot, the newest of a slot first. */
const instanceOrder = ({ version, ordinal, generation, id }: Instance): string =>
  `${falling(version)}.${rising(ordinal)}.${falling(generation)}.${id}`;
