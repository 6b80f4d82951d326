// One's own account: password, address, second factor and sessions; and what an operator does for others' accounts.
import { createRoute, z } from "@hono/zod-openapi";
import {
  Account,
  EmailChange,
  SignUpInvitation,
  LetterSent,
  OpenSessions,
  PasswordChange,
  PasswordShown,
  RecoveryCodes,
  SecondFactorBegun,
  SecondFactorConfirm,
  SecondFactorRemove,
  SessionId,
  SessionsEnded,
  SessionToken,
} from "../../../contracts/account.ts";
import * as auth from "../auth/index.ts";
import { askedOf } from "../http/asked.ts";
import { newApi, type ControlRequest } from "../http/context.ts";
import type { Result } from "../../../contracts/failures.ts";
import { guardSignIn } from "../http/sign-in-throttle.ts";
import { json, jsonBody, problems, SIGNED_IN, unwrap } from "../http/respond.ts";

const tags = ["Accounts"];
const security = SIGNED_IN;
const reads = problems(401, 403);
const writes = problems(400, 401, 403, 409, 413, 415);

const showRoute = createRoute({
  method: "get",
  path: "/v1/account",
  operationId: "showAccount",
  tags,
  security,
  summary: "Show one's own account",
  responses: { 200: json(Account, "The account."), ...reads },
});
const passwordRoute = createRoute({
  method: "post",
  path: "/v1/account/password",
  operationId: "changePassword",
  tags,
  security,
  summary: "Change the password",
  description: "All sessions end; a new one takes the place of the one that asked.",
  request: jsonBody(PasswordChange),
  responses: { 200: json(SessionToken, "The session that goes on."), ...writes },
});
const emailRoute = createRoute({
  method: "post",
  path: "/v1/account/email",
  operationId: "changeEmail",
  tags,
  security,
  summary: "Change the address",
  description: "A letter goes to the new address; nothing changes until `POST /v1/verify-email` with its token.",
  request: jsonBody(EmailChange),
  responses: { 202: json(LetterSent, "A letter is on its way, if nobody has the address yet."), ...writes },
});
const beginRoute = createRoute({
  method: "post",
  path: "/v1/account/second-factor",
  operationId: "beginSecondFactor",
  tags,
  security,
  summary: "Set up a second factor",
  description: "Shows the secret and the recovery codes, once. Nothing changes until a first code is shown.",
  request: jsonBody(PasswordShown),
  responses: { 200: json(SecondFactorBegun, "For an authenticator app, and to write down."), ...writes },
});
const confirmRoute = createRoute({
  method: "post",
  path: "/v1/account/second-factor/confirm",
  operationId: "confirmSecondFactor",
  tags,
  security,
  summary: "Switch the second factor on",
  request: jsonBody(SecondFactorConfirm),
  responses: { 200: json(SessionToken, "The session that goes on; all others ended."), ...writes },
});
const endRoute = createRoute({
  method: "post",
  path: "/v1/account/second-factor/off",
  operationId: "endSecondFactor",
  tags,
  security,
  summary: "Switch the second factor off",
  request: jsonBody(PasswordShown),
  responses: { 200: json(SessionToken, "The session that goes on; all others ended."), ...writes },
});
const codesRoute = createRoute({
  method: "post",
  path: "/v1/account/recovery-codes",
  operationId: "makeRecoveryCodes",
  tags,
  security,
  summary: "Make new recovery codes",
  request: jsonBody(PasswordShown),
  responses: { 200: json(RecoveryCodes, "Shown once; the ones before no longer work."), ...writes },
});
const listRoute = createRoute({
  method: "get",
  path: "/v1/account/sessions",
  operationId: "listSessions",
  tags,
  security,
  summary: "List one's open sessions",
  responses: { 200: json(OpenSessions, "All of them, newest first."), ...reads },
});
const endSessionRoute = createRoute({
  method: "delete",
  path: "/v1/account/sessions/{session}",
  operationId: "endSession",
  tags,
  security,
  summary: "End one of one's sessions",
  request: { params: z.object({ session: SessionId }) },
  responses: { 204: { description: "It opens nothing from now on." }, ...problems(400, 401, 403, 404) },
});
const endSessionsRoute = createRoute({
  method: "delete",
  path: "/v1/account/sessions",
  operationId: "endSessions",
  tags,
  security,
  summary: "Sign out everywhere",
  request: { query: z.strictObject({ keep: z.enum(["current", "none"]) }) },
  responses: { 200: json(SessionsEnded, "How many ended."), ...problems(400, 401, 403) },
});
const inviteRoute = createRoute({
  method: "post",
  path: "/v1/sign-up-invitations",
  operationId: "inviteToSignUp",
  tags,
  security,
  summary: "Invite somebody to sign up",
  description: "For operators. A letter goes to the address, which may make an account within seven days.",
  request: jsonBody(SignUpInvitation),
  responses: { 202: json(LetterSent, "The invitation stands."), ...writes },
});
const removeRoute = createRoute({
  method: "post",
  path: "/v1/second-factor-removals",
  operationId: "removeSecondFactor",
  tags,
  security,
  summary: "Remove somebody's second factor",
  description:
    "For operators, when device and recovery codes are lost and it is certain who asks. All sessions of the account end; its owner is told.",
  request: jsonBody(SecondFactorRemove),
  responses: { 204: { description: "Removed." }, ...problems(400, 401, 403, 404, 413, 415) },
});

const SENT = { letter: "sent" } as const;

/** A stolen session is no place to try out passwords and codes. */
const guarded = async <Value>(c: ControlRequest, work: () => Promise<Result<Value>>): Promise<Value> =>
  unwrap(await guardSignIn(c.env, c.req.raw, c.get("caller").user.email, work));

export const account = newApi()
  .openapi(showRoute, async (c) => c.json(unwrap(await auth.showAccount(askedOf(c))), 200))
  .openapi(passwordRoute, async (c) => {
    return c.json(await guarded(c, () => auth.changePassword(c.req.valid("json"), askedOf(c))), 200);
  })
  .openapi(emailRoute, async (c) => {
    await guarded(c, () => auth.changeEmail(c.req.valid("json"), askedOf(c)));
    return c.json(SENT, 202);
  })
  .openapi(beginRoute, async (c) => {
    return c.json(await guarded(c, () => auth.beginSecondFactor(c.req.valid("json"), askedOf(c))), 200);
  })
  .openapi(confirmRoute, async (c) => {
    return c.json(await guarded(c, () => auth.confirmSecondFactor(c.req.valid("json"), askedOf(c))), 200);
  })
  .openapi(endRoute, async (c) => {
    return c.json(await guarded(c, () => auth.endSecondFactor(c.req.valid("json"), askedOf(c))), 200);
  })
  .openapi(codesRoute, async (c) => {
    return c.json(await guarded(c, () => auth.makeRecoveryCodes(c.req.valid("json"), askedOf(c))), 200);
  })
  .openapi(listRoute, async (c) => c.json(unwrap(await auth.listSessions(askedOf(c))), 200))
  .openapi(endSessionRoute, async (c) => {
    unwrap(await auth.endSession(c.req.valid("param").session, askedOf(c)));
    return c.body(null, 204);
  })
  .openapi(endSessionsRoute, async (c) =>
    c.json(unwrap(await auth.endSessions(c.req.valid("query").keep === "current", askedOf(c))), 200),
  )
  .openapi(inviteRoute, async (c) => {
    unwrap(await auth.inviteToSignUp(c.req.valid("json").email, c.get("caller"), askedOf(c)));
    return c.json(SENT, 202);
  })
  .openapi(removeRoute, async (c) => {
    unwrap(await auth.removeSecondFactor(c.req.valid("json").email, c.get("caller"), askedOf(c)));
    return c.body(null, 204);
  });
