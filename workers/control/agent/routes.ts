// The agents' endpoints. No Postgres on poll and heartbeat; no object before credential and proof were verified.
import { newApi } from "../http/context.ts";
import { bundle, environment, renewCredential } from "./asks.ts";
import { enrol } from "./enrol.ts";
import { HEARTBEAT_PATH, heartbeat } from "./heartbeat.ts";
import { POLL_PATH, poll } from "./poll.ts";

export const agents = newApi();

agents.post("/agent/v1/enrol", async (c) => c.json(await enrol(c), 201));
// Most of these two come the short way; here are those of unknown length.
agents.post(HEARTBEAT_PATH, (c) => heartbeat(c.req.raw, c.env));
agents.post(POLL_PATH, (c) => poll(c.req.raw, c.env, c.executionCtx));
agents.post("/agent/v1/credential", async (c) => c.json(await renewCredential(c), 200));
agents.post("/agent/v1/instances/:instance/environment", async (c) => {
  return c.json(await environment(c, c.req.param("instance")), 200, { "cache-control": "no-store" });
});
agents.get("/agent/v1/bundles/:hash", (c) => bundle(c, c.req.param("hash")));
