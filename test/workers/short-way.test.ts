// Heartbeats and polls go past the router's middlewares: what those keep out must be kept out here too.
import { beforeAll, expect, it } from "vitest";
import { Problem } from "../../contracts/failures.ts";
import { HEARTBEAT_BYTES_MAX, JSON_BYTES_MAX } from "../../workers/control/http/body.ts";
import { heartbeat, makeNode, type TestNode } from "./agent-node.ts";
import { request } from "./control-env.ts";

const HEARTBEAT = "/agent/v1/heartbeat";
const POLL = "/agent/v1/poll";
let node: TestNode;
beforeAll(async () => {
  node = await makeNode();
});

it.each([
  [HEARTBEAT, HEARTBEAT_BYTES_MAX],
  [POLL, JSON_BYTES_MAX],
])("%s with a body of more than %i bytes is refused before it is read", async (path, bytesMax) => {
  const answer = await request(path, { method: "POST", body: "x".repeat(bytesMax + 1) });
  expect([answer.status, Problem.parse(await answer.json()).code]).toEqual([413, "payload_too_large"]);
});

it("a refusal names the sender's request id, unless it is none that the router would have taken", async () => {
  const refused = async (id: string): Promise<string | null> => {
    const headers = { "x-request-id": id };
    const answer = await request(HEARTBEAT, { method: "POST", headers, body: JSON.stringify(heartbeat()) });
    expect(answer.status).toBe(401);
    expect(Problem.parse(await answer.json()).requestId).toBe(answer.headers.get("x-request-id"));
    return answer.headers.get("x-request-id");
  };
  expect(await refused("req-1")).toBe("req-1");
  expect(await refused("x".repeat(129))).toMatch(/^[0-9a-f-]{36}$/);
  expect(await refused('"} {"forged":"line')).toMatch(/^[0-9a-f-]{36}$/);
});

it("what only looks like one of them goes to the router", async () => {
  expect((await request(`${HEARTBEAT}/`, { method: "POST", body: "{}" })).status).toBe(404);
  expect((await request(`/x${HEARTBEAT}`, { method: "POST", body: "{}" })).status).toBe(404);
  expect((await node.call("POST", HEARTBEAT, heartbeat(), "heartbeat")).status).toBe(200);
});
