// Device login: a client begins it, and asks until somebody has answered on the web page (workers/control/pages).
import { createRoute } from "@hono/zod-openapi";
import { DeviceLogin, DeviceLoginAsk, DeviceLoginPending } from "../../../contracts/account.ts";
import { Session } from "../../../contracts/api.ts";
import { askDeviceLogin, beginDeviceLogin } from "../auth/index.ts";
import { askedOf } from "../http/asked.ts";
import { newApi } from "../http/context.ts";
import { limitSignIns } from "../http/rate-limit.ts";
import { json, jsonBody, problems, unwrap } from "../http/respond.ts";

const tags = ["Accounts"];

const beginRoute = createRoute({
  method: "post",
  path: "/v1/device-logins",
  operationId: "beginDeviceLogin",
  tags,
  summary: "Begin a device login",
  description: "Show the person `userCode` and `verificationUrl`, and ask every `intervalMs` until it is answered.",
  responses: { 201: json(DeviceLogin, "What waits to be let in, for ten minutes."), ...problems(409) },
});
const askRoute = createRoute({
  method: "post",
  path: "/v1/device-logins/session",
  operationId: "askDeviceLogin",
  tags,
  summary: "Ask for a device login's session",
  request: jsonBody(DeviceLoginAsk),
  responses: {
    201: json(Session, "It was let in: the session; its token is shown once."),
    202: json(DeviceLoginPending, "Nobody has answered yet: ask again after `retryAfterMs`."),
    ...problems(400, 403, 410, 413, 415),
  },
});

export const devices = newApi()
  .openapi(beginRoute, async (c) => {
    await limitSignIns(c.env, c.req.raw, `device ${c.req.header("cf-connecting-ip") ?? "unknown"}`);
    return c.json(unwrap(await beginDeviceLogin(askedOf(c))), 201);
  })
  .openapi(askRoute, async (c) => {
    const answer = unwrap(await askDeviceLogin(c.req.valid("json"), askedOf(c)));
    return answer.kind === "session" ? c.json(answer.session, 201) : c.json(answer, 202);
  });
