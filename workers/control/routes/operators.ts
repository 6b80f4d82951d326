// The installation's operators: who they are, one more, one less.
import { createRoute, z } from "@hono/zod-openapi";
import { OperatorAdd, Operators } from "../../../contracts/account.ts";
import { UserId } from "../../../contracts/ids.ts";
import { addOperator, listOperators, removeOperator } from "../auth/index.ts";
import { askedOf } from "../http/asked.ts";
import { newApi } from "../http/context.ts";
import { aboutDeed } from "../http/deed.ts";
import { json, jsonBody, problems, READ_PROBLEMS, SIGNED_IN, unwrap } from "../http/respond.ts";

const tags = ["Accounts"];
const security = SIGNED_IN;

const listRoute = createRoute({
  method: "get",
  path: "/v1/operators",
  operationId: "listOperators",
  tags,
  security,
  summary: "List the installation's operators",
  responses: { 200: json(Operators, "All of them, oldest first."), ...READ_PROBLEMS },
});
const addRoute = createRoute({
  method: "post",
  path: "/v1/operators",
  operationId: "addOperator",
  tags,
  security,
  summary: "Make somebody an operator",
  description:
    "Of an account with a proven address and a second factor. Its sessions and API tokens end, so that nothing made before has the new right. Needs a session.",
  request: jsonBody(OperatorAdd),
  responses: {
    204: { description: "It is one from its next sign-in on." },
    ...problems(400, 401, 403, 404, 409, 413, 415),
  },
});
const removeRoute = createRoute({
  method: "delete",
  path: "/v1/operators/{user}",
  operationId: "removeOperator",
  tags,
  security,
  summary: "Take an operator's right away",
  description: "From the next request on. The last one stays. Needs a session.",
  request: { params: z.object({ user: UserId }) },
  responses: { 204: { description: "It is none any more." }, ...problems(400, 401, 403, 404, 409) },
});

export const operators = newApi()
  .openapi(listRoute, async (c) => c.json(unwrap(await listOperators(c.env)), 200))
  .openapi(addRoute, async (c) => {
    const { email } = c.req.valid("json");
    aboutDeed(c, { subject: email });
    unwrap(await addOperator(email, c.get("caller"), askedOf(c)));
    return c.body(null, 204);
  })
  .openapi(removeRoute, async (c) => {
    const { user } = c.req.valid("param");
    aboutDeed(c, { subject: user });
    unwrap(await removeOperator(user, c.get("caller"), askedOf(c)));
    return c.body(null, 204);
  });
