// Accounts and sessions: set-up of the installation, signing up, in and out, and who is asking.
import { createRoute } from "@hono/zod-openapi";
import { Session, Setup, SignIn, SignUp, WhoAmI } from "../../../contracts/api.ts";
import { listTeams, setup, signIn, signOut, signUp } from "../auth/index.ts";
import { newApi } from "../http/context.ts";
import { limitSignIns } from "../http/rate-limit.ts";
import { json, jsonBody, problems, READ_PROBLEMS, SIGNED_IN, unwrap } from "../http/respond.ts";

const tags = ["Accounts"];
const refused = problems(400, 401, 403, 409, 413, 415);

const setupRoute = createRoute({
  method: "post",
  path: "/v1/setup",
  operationId: "setup",
  tags,
  summary: "Make the first operator",
  description: "Once per installation, with the set-up token that was deployed with the control plane.",
  request: jsonBody(Setup),
  responses: { 201: json(Session, "The operator's session; its token is shown once."), ...refused },
});
const signUpRoute = createRoute({
  method: "post",
  path: "/v1/sign-up",
  operationId: "signUp",
  tags,
  summary: "Sign up",
  description: "Makes a user, a team of their own and a session.",
  request: jsonBody(SignUp),
  responses: { 201: json(Session, "The session; its token is shown once."), ...refused },
});
const signInRoute = createRoute({
  method: "post",
  path: "/v1/sign-in",
  operationId: "signIn",
  tags,
  summary: "Sign in",
  request: jsonBody(SignIn),
  responses: { 201: json(Session, "The session; its token is shown once."), ...refused },
});
const signOutRoute = createRoute({
  method: "post",
  path: "/v1/sign-out",
  operationId: "signOut",
  tags,
  summary: "End the session whose token is shown",
  security: SIGNED_IN,
  responses: { 204: { description: "Ended, or was ended already." }, ...problems(401) },
});
const whoAmIRoute = createRoute({
  method: "get",
  path: "/v1/whoami",
  operationId: "whoAmI",
  tags,
  summary: "Who is asking, in which team",
  security: SIGNED_IN,
  responses: { 200: json(WhoAmI, "The caller."), ...READ_PROBLEMS },
});

export const accounts = newApi()
  .openapi(setupRoute, async (c) => {
    const input = c.req.valid("json");
    await limitSignIns(c.env, c.req.raw, "setup");
    return c.json(unwrap(await setup(input, c.env)), 201);
  })
  .openapi(signUpRoute, async (c) => {
    const input = c.req.valid("json");
    await limitSignIns(c.env, c.req.raw, input.email);
    return c.json(unwrap(await signUp(input, c.env)), 201);
  })
  .openapi(signInRoute, async (c) => {
    const input = c.req.valid("json");
    await limitSignIns(c.env, c.req.raw, input.email);
    return c.json(unwrap(await signIn(input, c.env)), 201);
  })
  .openapi(signOutRoute, async (c) => {
    unwrap(await signOut(c.req.raw, c.env));
    return c.body(null, 204);
  })
  .openapi(whoAmIRoute, async (c) => {
    const { user, team, via, ...rest } = c.get("caller");
    const teams = unwrap(await listTeams({ user, team, via, ...rest }, c.env));
    return c.json({ user, team, teams, via }, 200);
  });
