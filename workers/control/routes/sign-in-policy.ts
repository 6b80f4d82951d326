// How a team's members sign in: read, a second factor asked for, the team's own OpenID provider set and forgotten.
import { createRoute } from "@hono/zod-openapi";
import { SecondFactorPolicy, SignInPolicy, SingleSignOn } from "../../../contracts/account.ts";
import { deleteSingleSignOn, putSingleSignOn, readSignInPolicy, requireSecondFactor } from "../auth/index.ts";
import { newApi } from "../http/context.ts";
import { aboutDeed, byOf } from "../http/deed.ts";
import { json, jsonBody, problems, READ_PROBLEMS, SIGNED_IN, unwrap, WRITE_PROBLEMS } from "../http/respond.ts";

const tags = ["Teams and projects"];
const security = SIGNED_IN;

const readRoute = createRoute({
  method: "get",
  path: "/v1/sign-in-policy",
  operationId: "readSignInPolicy",
  tags,
  security,
  summary: "How the team's members sign in",
  responses: { 200: json(SignInPolicy, "The policy; never the provider's secret."), ...READ_PROBLEMS },
});
const secondFactorRoute = createRoute({
  method: "put",
  path: "/v1/sign-in-policy/second-factor",
  operationId: "requireSecondFactor",
  tags,
  security,
  summary: "Ask the team's members for a second factor, or no longer",
  description:
    "From the next request on: sessions without one, and API tokens of members who have none switched on, reach nothing of the team. Whoever asks for it must have one.",
  request: jsonBody(SecondFactorPolicy),
  responses: { 200: json(SignInPolicy, "The policy now."), ...WRITE_PROBLEMS },
});
const signOnRoute = createRoute({
  method: "put",
  path: "/v1/sign-in-policy/single-sign-on",
  operationId: "putSingleSignOn",
  tags,
  security,
  summary: "Set the team's own OpenID provider",
  description:
    "Owners only, in a session: whoever sets it can come in as any member. `enforced`: members come in through it alone; owners beside it, with a second factor.",
  request: jsonBody(SingleSignOn),
  responses: { 200: json(SignInPolicy, "The policy now."), ...WRITE_PROBLEMS },
});
const forgetRoute = createRoute({
  method: "delete",
  path: "/v1/sign-in-policy/single-sign-on",
  operationId: "deleteSingleSignOn",
  tags,
  security,
  summary: "Forget the team's own OpenID provider",
  description: "Its sessions end.",
  responses: { 204: { description: "Forgotten." }, ...problems(401, 403, 404) },
});

export const signInPolicy = newApi()
  .openapi(readRoute, async (c) => c.json(await readSignInPolicy(c.get("caller"), c.env), 200))
  .openapi(secondFactorRoute, async (c) => {
    const { required } = c.req.valid("json");
    const caller = c.get("caller");
    aboutDeed(c, { subject: caller.team.id });
    return c.json(unwrap(await requireSecondFactor(caller, required, c.env, byOf(c))), 200);
  })
  .openapi(signOnRoute, async (c) => {
    const caller = c.get("caller");
    aboutDeed(c, { subject: caller.team.id });
    return c.json(unwrap(await putSingleSignOn(caller, c.req.valid("json"), c.env, byOf(c))), 200);
  })
  .openapi(forgetRoute, async (c) => {
    const { team } = c.get("caller");
    aboutDeed(c, { subject: team.id });
    unwrap(await deleteSingleSignOn(team.id, c.env, byOf(c)));
    return c.body(null, 204);
  });
