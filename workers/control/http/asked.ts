// A request as the functions of auth/ take it: letters leave after the answer.
import type { Asked } from "../auth/index.ts";
import { sendAll } from "../mail/mailer.ts";
import type { ControlRequest } from "./context.ts";
import { whence, type Deed } from "./deed.ts";

export function askedOf(c: ControlRequest): Asked {
  // What succeeds is told in the transaction of the deed.
  const deed: Deed | undefined = c.get("deed");
  if (deed?.handed === "no") deed.handed = "desk";
  return {
    env: c.env,
    headers: c.req.raw.headers,
    by: { requestId: c.get("requestId"), ...whence(c) },
    post: (letters) => c.executionCtx.waitUntil(sendAll(c.env, letters)),
  };
}
