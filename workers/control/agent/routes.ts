// The agents' endpoints. No Postgres on poll and heartbeat; no object before credential and proof were verified.
import { SNAPSHOT_PATH } from "../../../contracts/snapshot.ts";
import { answerChallenge, nameNode } from "../names/name-node.ts";
import { newApi } from "../http/context.ts";
import { agentBundle, bundle, environment, renewCredential } from "./asks.ts";
import { enrol } from "./enrol.ts";
import { HEARTBEAT_PATH, heartbeat } from "./heartbeat.ts";
import { tellKeys } from "./keys.ts";
import { POLL_PATH, poll } from "./poll.ts";
import { removal } from "./removal.ts";
import { snapshot } from "./snapshot.ts";
import { relayNode } from "../relay/relay-node.ts";

export const agents = newApi();

agents.post("/agent/v1/enrol", async (c) => c.json(await enrol(c), 201));
// Most of these two come the short way; here are those of unknown length.
agents.post(HEARTBEAT_PATH, (c) => heartbeat(c.req.raw, c.env));
agents.post(POLL_PATH, (c) => poll(c.req.raw, c.env, c.executionCtx));
agents.post("/agent/v1/credential", async (c) => c.json(await renewCredential(c), 200));
agents.post("/agent/v1/keys", async (c) => c.json(await tellKeys(c), 200));
agents.post("/agent/v1/name", async (c) => c.json(await nameNode(c), 200));
agents.post("/agent/v1/acme-challenge", async (c) => c.json(await answerChallenge(c), 200));
agents.post("/agent/v1/relay", async (c) => c.json(await relayNode(c), 200));
agents.post("/agent/v1/removal", async (c) => c.json(await removal(c), 200));
agents.post("/agent/v1/instances/:instance/environment", async (c) => {
  return c.json(await environment(c, c.req.param("instance")), 200, { "cache-control": "no-store" });
});
agents.get(SNAPSHOT_PATH, (c) => snapshot(c));
agents.get("/agent/v1/bundles/:hash", (c) => bundle(c, c.req.param("hash")));
agents.get("/agent/v1/agents/:sha256", (c) => agentBundle(c, c.req.param("sha256")));
