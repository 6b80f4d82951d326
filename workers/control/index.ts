// The control Worker's entry: HTTP, the cron sweep, the object classes, and the entrypoints that the objects call.
import { takeShortWay } from "./agent/short-way.ts";
import { app } from "./app.ts";
import type { ControlEnv } from "./env.ts";
import { freshKeyed, keyedEnv } from "./keys/keyed.ts";
import { sweep } from "./sweep.ts";

export { App, Cell, Host, RateLimit, Region } from "../../durable-objects/index.ts";
export { GatewayProbe } from "./entrypoints/gateway-probe.ts";
export { InstanceProbe } from "./entrypoints/instance-probe.ts";
export { OutboxSink } from "./entrypoints/outbox-sink.ts";
export { Verifier } from "./entrypoints/verifier.ts";

export default {
  fetch(request, given, ctx) {
    const answer = (env: ControlEnv) => takeShortWay(request, env, ctx) ?? app.fetch(request, env, ctx);
    const env = freshKeyed(given);
    return env === null ? keyedEnv(given, (work) => ctx.waitUntil(work)).then(answer) : answer(env);
  },
  async scheduled(_controller, given, ctx) {
    await sweep(await keyedEnv(given, (work) => ctx.waitUntil(work)));
  },
} satisfies ExportedHandler<ControlEnv>;
