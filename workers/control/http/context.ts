// What a request carries through the control Worker, and how a group of routes is made.
import { OpenAPIHono } from "@hono/zod-openapi";
import type { Context } from "hono";
import type { Verdict } from "../../../core/authorise/types.ts";
import type { Caller } from "../auth/caller.ts";
import type { ControlEnv } from "../env.ts";
import type { Access } from "./access.ts";
import type { ThingFacts } from "./authorise.ts";
import type { Deed } from "./deed.ts";
import type { Rate } from "./rate-limit.ts";
import { onInvalid } from "./validation.ts";

export interface ControlContext {
  Bindings: ControlEnv;
  Variables: {
    requestId: string;
    /** Set before any route of /v1 that is not public. */
    caller: Caller;
    access: Access;
    /** What was last said of this request's right to what it asks. */
    verdict: Verdict;
    /** Of the thing that it is about, once known. */
    facts?: ThingFacts;
    /** What the audit will say of it. */
    deed: Deed;
    /** What is left of its team's requests of this minute; unset where nobody was asked. */
    rate?: Rate;
  };
}
export type ControlRequest = Context<ControlContext>;
export type Api = OpenAPIHono<ControlContext>;

export const newApi = (): Api => new OpenAPIHono<ControlContext>({ defaultHook: onInvalid });
