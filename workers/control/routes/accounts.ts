// Getting in and out: set-up of the installation, signing up, proving an address, forgotten passwords, and who is asking.
import { createRoute } from "@hono/zod-openapi";
import {
  LetterSent,
  PasswordReset,
  PasswordResetDone,
  Session,
  Setup,
  SignIn,
  SignUp,
  VerifyEmail,
  WhoAmI,
} from "../../../contracts/api.ts";
import {
  askPasswordReset,
  finishPasswordReset,
  listTeams,
  setup,
  signIn,
  signOut,
  signUp,
  verifyEmail,
} from "../auth/index.ts";
import { askedOf } from "../http/asked.ts";
import { newApi } from "../http/context.ts";
import { aboutDeed } from "../http/deed.ts";
import { limitSignIns } from "../http/rate-limit.ts";
import { guardSignIn } from "../http/sign-in-throttle.ts";
import { json, jsonBody, problems, READ_PROBLEMS, SIGNED_IN, unwrap } from "../http/respond.ts";

const tags = ["Accounts"];
const refused = problems(400, 401, 403, 409, 413, 415);
const letterRefused = problems(400, 401, 403, 410, 413, 415);

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
  description: [
    "Makes a user and a team of their own, once the address is proven: a letter with a link is sent to it.",
    "The answer is the same where the address has an account already, or was not invited.",
  ].join(" "),
  request: jsonBody(SignUp),
  responses: { 202: json(LetterSent, "A letter is on its way, if the address may sign up."), ...refused },
});
const verifyEmailRoute = createRoute({
  method: "post",
  path: "/v1/verify-email",
  operationId: "verifyEmail",
  tags,
  summary: "Prove an address",
  description:
    "With the letter's token and the account's password: of a new account, or of an address that is to replace one.",
  request: jsonBody(VerifyEmail),
  responses: { 204: { description: "It is proven. Sign in." }, ...letterRefused },
});
const signInRoute = createRoute({
  method: "post",
  path: "/v1/sign-in",
  operationId: "signIn",
  tags,
  summary: "Sign in",
  description: "A 401 with the code `second_factor_required`: the password is right; send it again with `code`.",
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
const askPasswordResetRoute = createRoute({
  method: "post",
  path: "/v1/password-resets",
  operationId: "askPasswordReset",
  tags,
  summary: "Ask for a new password",
  request: jsonBody(PasswordReset),
  responses: {
    202: json(LetterSent, "A letter is on its way, if the address has an account."),
    ...problems(400, 413, 415),
  },
});
const finishPasswordResetRoute = createRoute({
  method: "post",
  path: "/v1/password-resets/complete",
  operationId: "finishPasswordReset",
  tags,
  summary: "Choose a new password",
  description: "With the letter's token. Every session of the account ends; its second factor stays.",
  request: jsonBody(PasswordResetDone),
  responses: { 204: { description: "It is changed. Sign in." }, ...letterRefused },
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

const SENT = { letter: "sent" } as const;

export const accounts = newApi()
  .openapi(setupRoute, async (c) => {
    const input = c.req.valid("json");
    aboutDeed(c, { subject: input.email });
    await limitSignIns(c.env, c.req.raw, "setup");
    return c.json(unwrap(await setup(input, askedOf(c))), 201);
  })
  .openapi(signUpRoute, async (c) => {
    const input = c.req.valid("json");
    aboutDeed(c, { subject: input.email });
    await limitSignIns(c.env, c.req.raw, input.email);
    unwrap(await signUp(input, askedOf(c)));
    return c.json(SENT, 202);
  })
  .openapi(verifyEmailRoute, async (c) => {
    const input = c.req.valid("json");
    unwrap(await guardSignIn(c.env, c.req.raw, input.token, () => verifyEmail(input, askedOf(c))));
    return c.body(null, 204);
  })
  .openapi(signInRoute, async (c) => {
    const input = c.req.valid("json");
    aboutDeed(c, { subject: input.email });
    return c.json(unwrap(await guardSignIn(c.env, c.req.raw, input.email, () => signIn(input, askedOf(c)))), 201);
  })
  .openapi(signOutRoute, async (c) => {
    unwrap(await signOut(askedOf(c)));
    return c.body(null, 204);
  })
  .openapi(askPasswordResetRoute, async (c) => {
    const input = c.req.valid("json");
    await limitSignIns(c.env, c.req.raw, input.email);
    unwrap(await askPasswordReset(input, askedOf(c)));
    return c.json(SENT, 202);
  })
  .openapi(finishPasswordResetRoute, async (c) => {
    const input = c.req.valid("json");
    await limitSignIns(c.env, c.req.raw, input.token);
    unwrap(await finishPasswordReset(input, askedOf(c)));
    return c.body(null, 204);
  })
  .openapi(whoAmIRoute, async (c) => {
    const { user, team, via, ...rest } = c.get("caller");
    const teams = unwrap(await listTeams({ user, team, via, ...rest }, c.env));
    return c.json({ user, team, teams, via }, 200);
  });
