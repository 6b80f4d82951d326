// What gateways count of a watched app goes from the heartbeats of its nodes over the Cell to its App, past all that waits.
import { beforeEach, expect, it } from "vitest";
import type { InstanceCounters } from "../../contracts/agent-protocol.ts";
import type { DesiredInstance } from "../../contracts/desired.ts";
import { env } from "cloudflare:workers";
import { evictDurableObject } from "cloudflare:test";
import type { AppId } from "../../contracts/ids.ts";
import { asked, eventually, identityOf, readyNode, releaseOf } from "./fleet.ts";
import { recorded, resetRecorded } from "./recorded.ts";

beforeEach(resetRecorded);

const APP = "app_01jzzzzzzze0a0000000000071" as AppId;

const countersOf = ({ instance, generation, app, team, release }: DesiredInstance, requests: number) => ({
  ...{ instance, generation, app, team, release, runningMs: 1, cpuMs: 1, memoryByteMs: 1, requests },
  status: { s1xx: 0, s2xx: requests, s3xx: 0, s4xx: 0, s5xx: 0 },
  ...{ bytesIn: 0, bytesOut: 0, latency: [requests] },
});
type Told = { cell: string; items: InstanceCounters[] };
const told = () => recorded.calls.filter(({ method }) => method === "App.counted").map(({ input }) => input as Told);

it("is told while the app is watched, also where messages are not taken, and goes on with an evicted Cell", async () => {
  const node = await readyNode(71, "counts.0");
  const stub = env.APP.getByName(APP);
  await stub.create({ ...asked, ...identityOf(APP, node.cell), replicas: 1 });
  await stub.acceptRelease(releaseOf());
  const placed = await eventually(async () => {
    const [instance] = (await node.receive()).instances;
    if (instance === undefined) throw new Error("nothing was placed");
    return instance;
  });
  await node.heartbeat({ kind: "ready" }, { watched: [countersOf(placed, 1)] });
  expect(told()).toEqual([]);

  // As the App itself says it when it judges; above any seq of its own.
  await node.stub.update({ key: "w", app: APP, seq: 1_000, drain: [], remove: [], routeVersion: 0, watch: true });
  recorded.failing.set("App.deliver", "before");
  await node.heartbeat({ kind: "unready", failure: failure() }, { watched: [countersOf(placed, 2)] });
  await node.heartbeat({ kind: "ready" }, { watched: [countersOf(placed, 3)] });
  const [first] = await eventually(() => {
    expect(told()).toHaveLength(1);
    return told();
  });
  expect(first).toMatchObject({ cell: node.cell, items: [countersOf(placed, 2)] });
  await eventually(() => expect(recorded.failed).toContain("App.deliver"));

  await evictDurableObject(node.stub as never);
  await node.heartbeat({ kind: "ready" }, { watched: [countersOf(placed, 4)] });
  await eventually(() => expect(told().at(-1)).toMatchObject({ items: [countersOf(placed, 4)] }));
});

const failure = () => ({ code: "exited" as const, message: "", exitCode: 1, signal: null, logTail: [] });
