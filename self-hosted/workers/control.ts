// The control Worker of a self-hosted platform: the same one, and a door for the clock, which Cloudflare's cron is elsewhere.
import { WorkerEntrypoint } from "cloudflare:workers";
import type { ControlEnv } from "../../workers/control/env.ts";
import control from "../../workers/control/index.ts";

export * from "../../workers/control/index.ts";
export default control;

/** On a socket of its own, which only the clock on this machine reaches. */
export class Clock extends WorkerEntrypoint<ControlEnv> {
  override async fetch(request: Request): Promise<Response> {
    if (request.method !== "POST") return new Response("POST, once a minute\n", { status: 405 });
    const minute = { cron: "* * * * *", scheduledTime: Date.now(), noRetry: () => {} };
    await control.scheduled(minute, this.env, this.ctx);
    return new Response(null, { status: 204 });
  }
}
