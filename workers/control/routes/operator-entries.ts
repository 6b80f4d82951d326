// Break-glass: operators' ways into teams that are not theirs, and what the team sees of them.
import { createRoute, z } from "@hono/zod-openapi";
import { page, PageQuery } from "../../../contracts/api.ts";
import { OperatorEntryId } from "../../../contracts/ids.ts";
import { EnterTeam, OperatorEntry } from "../../../contracts/teams.ts";
import { listEntries } from "../../../db/queries/operator-entries.ts";
import { endOperatorEntry, enterTeam, leaveTeam } from "../auth/index.ts";
import { askedOf } from "../http/asked.ts";
import { newApi } from "../http/context.ts";
import { databaseOf } from "../http/database.ts";
import { aboutDeed } from "../http/deed.ts";
import { json, jsonBody, problems, READ_PROBLEMS, SIGNED_IN, unwrap } from "../http/respond.ts";

const tags = ["Teams and projects"];
const security = SIGNED_IN;
const ofTeam = z.object({ team: z.string().min(1).max(64).meta({ description: "The team's id or its slug." }) });

const enterRoute = createRoute({
  method: "post",
  path: "/v1/teams/{team}/operator-entry",
  operationId: "enterTeam",
  tags,
  security,
  summary: "Enter a team that is not yours, as an operator",
  description:
    "For a stated reason and a while, as viewer or developer. The team's owners get a letter; the team's audit has this and whatever is asked meanwhile, reads too, under `operator:<id>`. Needs a session, and a second factor.",
  request: { params: ofTeam, ...jsonBody(EnterTeam) },
  responses: {
    201: json(OperatorEntry, "Name the team in `berth-team` from now on."),
    ...problems(400, 401, 403, 404, 409, 413, 415),
  },
});
const leaveRoute = createRoute({
  method: "delete",
  path: "/v1/teams/{team}/operator-entry",
  operationId: "leaveTeam",
  tags,
  security,
  summary: "Leave a team that you entered as an operator",
  request: { params: ofTeam },
  responses: { 204: { description: "Nothing of the team opens to you from now on." }, ...problems(400, 401, 403, 404) },
});
const listRoute = createRoute({
  method: "get",
  path: "/v1/operator-entries",
  operationId: "listOperatorEntries",
  tags,
  security,
  summary: "List when operators entered this team, and why",
  request: { query: PageQuery },
  responses: { 200: json(page(OperatorEntry), "Newest first."), ...READ_PROBLEMS },
});
const endRoute = createRoute({
  method: "delete",
  path: "/v1/operator-entries/{entry}",
  operationId: "endOperatorEntry",
  tags,
  security,
  summary: "End an operator's way into this team",
  request: { params: z.object({ entry: OperatorEntryId }) },
  responses: { 204: { description: "From the next request on." }, ...problems(400, 401, 403, 404) },
});

export const operatorEntries = newApi()
  .openapi(enterRoute, async (c) => {
    const { team } = c.req.valid("param");
    aboutDeed(c, { subject: team });
    return c.json(unwrap(await enterTeam(team, c.req.valid("json"), c.get("caller"), askedOf(c))), 201);
  })
  .openapi(leaveRoute, async (c) => {
    const { team } = c.req.valid("param");
    aboutDeed(c, { subject: team });
    unwrap(await leaveTeam(team, c.get("caller"), askedOf(c)));
    return c.body(null, 204);
  })
  .openapi(listRoute, async (c) => {
    return c.json(unwrap(await listEntries(databaseOf(c.env), c.get("caller").team.id, c.req.valid("query"))), 200);
  })
  .openapi(endRoute, async (c) => {
    const { entry } = c.req.valid("param");
    aboutDeed(c, { subject: entry });
    unwrap(await endOperatorEntry(entry, c.get("caller"), askedOf(c)));
    return c.body(null, 204);
  });
