// The agents' endpoints. No Postgres on poll and heartbeat; no object before credential and proof were verified.
import { HeartbeatRequest } from "../../../contracts/agent-protocol.ts";
import { ask } from "../http/ask.ts";
import { newApi } from "../http/context.ts";
import { unwrap } from "../http/respond.ts";
import { bundle, environment, renewCredential } from "./asks.ts";
import { enrol } from "./enrol.ts";
import { poll } from "./poll.ts";
import { readAgentRequest } from "./read-agent-request.ts";

export const agents = newApi();

agents.post("/agent/v1/enrol", async (c) => c.json(await enrol(c), 201));
agents.post("/agent/v1/poll", (c) => poll(c));
agents.post("/agent/v1/heartbeat", async (c) => {
  const { call, body } = await readAgentRequest(c, HeartbeatRequest, { lane: "heartbeat" });
  const input = { ...call.proof, request: body };
  // Once: the next beat comes in two seconds, and a repeated proof would be refused as a replay.
  const beat = await ask(() => c.env.CELL.getByName(call.cell).heartbeat(input), { repeatable: false });
  return c.json(unwrap(beat), 200);
});
agents.post("/agent/v1/credential", async (c) => c.json(await renewCredential(c), 200));
agents.post("/agent/v1/instances/:instance/environment", async (c) => {
  return c.json(await environment(c, c.req.param("instance")), 200, { "cache-control": "no-store" });
});
agents.get("/agent/v1/bundles/:hash", (c) => bundle(c, c.req.param("hash")));
