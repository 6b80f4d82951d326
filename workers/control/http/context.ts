// What a request carries through the control Worker, and how a group of routes is made.
import { OpenAPIHono } from "@hono/zod-openapi";
import type { Context } from "hono";
import type { Caller } from "../auth/caller.ts";
import type { ControlEnv } from "../env.ts";
import { onInvalid } from "./validation.ts";

export interface ControlContext {
  Bindings: ControlEnv;
  Variables: {
    requestId: string;
    /** Set before any route of /v1 that is not public. */
    caller: Caller;
  };
}
export type ControlRequest = Context<ControlContext>;
export type Api = OpenAPIHono<ControlContext>;

export const newApi = (): Api => new OpenAPIHono<ControlContext>({ defaultHook: onInvalid });
