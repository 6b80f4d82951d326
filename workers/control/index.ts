// The control Worker's entry: HTTP, the cron sweep, the object classes, and the entrypoints that the objects call.
import { takeShortWay } from "./agent/short-way.ts";
import { app } from "./app.ts";
import type { ControlEnv } from "./env.ts";
import { sweep } from "./sweep.ts";

export { App, Cell, Host, RateLimit, Region } from "../../durable-objects/index.ts";
export { GatewayProbe } from "./entrypoints/gateway-probe.ts";
export { InstanceProbe } from "./entrypoints/instance-probe.ts";
export { OutboxSink } from "./entrypoints/outbox-sink.ts";
export { Verifier } from "./entrypoints/verifier.ts";

export default {
  fetch: (request, env, ctx) => takeShortWay(request, env, ctx) ?? app.fetch(request, env, ctx),
  async scheduled(_controller, env) {
    await sweep(env);
  },
} satisfies ExportedHandler<ControlEnv>;
