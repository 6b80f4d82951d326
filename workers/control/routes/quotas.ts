// Plans and quotas: what a team may have and what it uses of it; operators give teams another plan or limits of their own.
import { createRoute, z } from "@hono/zod-openapi";
import { TeamId } from "../../../contracts/ids.ts";
import { Plan, QUOTAS, QuotaPut, TeamQuota } from "../../../contracts/quota.ts";
import { isPlanName, limitsOf, PLAN_NAMES, PLANS } from "../../../core/quota/plans.ts";
import { findTeam, readTeamPlan, setTeamPlan } from "../../../db/queries/quotas.ts";
import { authDatabase } from "../auth/databases.ts";
import { newApi, type ControlRequest } from "../http/context.ts";
import { databaseOf } from "../http/database.ts";
import { byOf } from "../http/deed.ts";
import { fail, failField } from "../http/problem.ts";
import { IdempotencyHeader, json, jsonBody, READ_PROBLEMS, SIGNED_IN, WRITE_PROBLEMS } from "../http/respond.ts";
import { quotaPolicy } from "../quota/policy.ts";
import { dayEndsAtMs } from "../quota/refuse.ts";

const tags = ["Teams and projects"];
const security = SIGNED_IN;
const params = z.object({ team: z.string().min(1).max(64).meta({ description: "The team's id or its slug." }) });

const listPlansRoute = createRoute({
  method: "get",
  path: "/v1/plans",
  operationId: "listPlans",
  tags,
  security,
  summary: "List the plans that a team can have",
  responses: { 200: json(z.object({ items: z.array(Plan) }), "All of them."), ...READ_PROBLEMS },
});
const readQuotaRoute = createRoute({
  method: "get",
  path: "/v1/quota",
  operationId: "readQuota",
  tags,
  security,
  summary: "Read the team's plan, and what is used of it",
  responses: { 200: json(TeamQuota, "The plan and each of its quotas."), ...READ_PROBLEMS },
});
const readTeamQuotaRoute = createRoute({
  method: "get",
  path: "/v1/teams/{team}/quota",
  operationId: "readTeamQuota",
  tags,
  security,
  summary: "Read another team's plan, as an operator",
  request: { params },
  responses: { 200: json(TeamQuota, "The plan and each of its quotas."), ...READ_PROBLEMS },
});
const putTeamQuotaRoute = createRoute({
  method: "put",
  path: "/v1/teams/{team}/quota",
  operationId: "putTeamQuota",
  tags,
  security,
  summary: "Set a team's plan, as an operator",
  description:
    "Replaces what was set before. What the team has too much of afterwards stays as it is and can only become less.",
  request: { params, headers: IdempotencyHeader, ...jsonBody(QuotaPut) },
  responses: { 200: json(TeamQuota, "The plan as it is now, and what is used of it."), ...WRITE_PROBLEMS },
});

export const quotas = newApi()
  .openapi(listPlansRoute, (c) => {
    const items = PLAN_NAMES.map((name) => ({
      name,
      description: PLANS[name].description,
      limits: { ...limitsOf(name) },
    }));
    return c.json({ items }, 200);
  })
  .openapi(readQuotaRoute, async (c) => c.json(await shown(c, c.get("caller").team.id), 200))
  .openapi(readTeamQuotaRoute, async (c) => {
    return c.json(await shown(c, await teamOf(c, c.req.valid("param").team)), 200);
  })
  .openapi(putTeamQuotaRoute, async (c) => {
    const { plan, overrides } = c.req.valid("json");
    if (plan !== null && !isPlanName(plan)) {
      const message = `is no plan: there are ${PLAN_NAMES.join(", ")}`;
      failField("invalid_request", { pointer: "/plan", rule: "one_of", message });
    }
    const team = await teamOf(c, c.req.valid("param").team);
    await setTeamPlan(databaseOf(c.env), { ...byOf(c), team, plan, overrides });
    return c.json(await shown(c, team), 200);
  });

async function teamOf(c: ControlRequest, idOrSlug: string): Promise<TeamId> {
  const id = TeamId.safeParse(idOrSlug);
  const found = await findTeam(authDatabase(c.env), id.success ? { id: id.data } : { slug: idOrSlug });
  return found ?? fail("not_found", `There is no team ${idOrSlug}.`);
}

async function shown(c: ControlRequest, team: TeamId): Promise<TeamQuota> {
  const { plan, byDefault, limits, overrides, used } = await readTeamPlan(databaseOf(c.env), team, quotaPolicy(c.env));
  const quotas = QUOTAS.map((quota) => ({
    quota,
    used: used[quota],
    limit: limits[quota],
    overridden: overrides[quota] !== undefined,
  }));
  return { team, plan, byDefault, quotas, dayEndsAtMs: dayEndsAtMs(Date.now()) };
}
