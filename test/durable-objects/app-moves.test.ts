// Instances that move, over real App and Cell objects that are evicted between any two steps: drains, their end, singletons.
import { env } from "cloudflare:workers";
import { evictAllDurableObjects, runDurableObjectAlarm } from "cloudflare:test";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { AppId } from "../../contracts/ids.ts";
import type { PlacementPolicy } from "../../contracts/release.ts";
import { asked, eventually, type FleetNode, identityOf, readyNode, releaseOf } from "./fleet.ts";
import { recorded, resetRecorded } from "./recorded.ts";

beforeEach(resetRecorded);

let made = 0;
const nextApp = (): AppId => `app_01jzzzzzzze0a00000000002${String((made += 1)).padStart(2, "0")}` as AppId;
const stubOf = (app: AppId) => env.APP.getByName(app);

function valueOf<Value>(answer: { ok: true; value: Value } | { ok: false; failure: unknown }): Value {
  if (!answer.ok) throw new Error(JSON.stringify(answer.failure));
  return answer.value;
}

/** Everything forgets what it may forget, and goes on. */
async function evictAll(app: AppId, node: FleetNode): Promise<void> {
  await evictAllDurableObjects();
  await stubOf(app).poke();
  await node.stub.poke();
}

const has = (node: FleetNode, app: AppId, intent?: "run" | "drain"): boolean =>
  node.desired?.instances.some((each) => each.app === app && (intent === undefined || each.intent === intent)) ?? false;

/** The node reads documents until one satisfies. */
async function receiveUntil(node: FleetNode, satisfied: () => boolean): Promise<void> {
  while (!satisfied()) await node.receive();
}

async function verify(app: AppId): Promise<void> {
  const asked = await eventually(async () => {
    await stubOf(app).poke();
    const last = recorded.verifications.findLast((verification) => verification.app === app);
    if (last === undefined) throw new Error("the verifier was not asked");
    return last;
  });
  const { items } = valueOf(await stubOf(app).listInstances({}));
  const results = items
    .filter(({ id }) => asked.instances.includes(id))
    .map(({ id, generation }) => ({ instance: id, generation, ok: true, message: "200" }));
  valueOf(await stubOf(app).verified({ rollout: asked.rollout, results }));
}

async function phaseOfRollout(app: AppId): Promise<string | undefined> {
  return valueOf(await stubOf(app).listRollouts({ limit: 1 })).items[0]?.phase;
}

/** An app that serves with one replica on one of the nodes: the node that has it first. */
async function serving(nodes: readonly [FleetNode, FleetNode], singleton?: PlacementPolicy["singleton"]) {
  const app = nextApp();
  valueOf(await stubOf(app).create({ ...asked, ...identityOf(app, nodes[0].cell), replicas: 1 }));
  const { spec, ...release } = releaseOf();
  const placement = { ...spec.placement, ...(singleton ? { singleton } : {}) };
  const accept = () => stubOf(app).acceptRelease({ ...release, spec: { ...spec, placement } });
  valueOf(await accept());
  const node = await eventually(async () => {
    const { items } = valueOf(await stubOf(app).listInstances({}));
    const found = nodes.find(({ id }) => id === items[0]?.node);
    if (!found) throw new Error("not placed yet");
    return found;
  });
  await receiveUntil(node, () => has(node, app));
  await node.heartbeat();
  await verify(app);
  await eventually(async () => expect(await phaseOfRollout(app)).toBe("completed"));
  const [first, second] = nodes;
  return { app, accept, from: node, to: node === first ? second : first };
}

const endpointsOf = async (app: AppId): Promise<string[]> => {
  const { state } = valueOf(await stubOf(app).route());
  return state.kind === "serving" ? state.releases.flatMap(({ endpoints }) => endpoints.map(({ node }) => node)) : [];
};

describe("a drain", () => {
  it("moves an instance start-first although every object forgets between any two steps", async () => {
    const nodes = [await readyNode(41, "moves-a.0"), await readyNode(42, "moves-a.0")] as const;
    const { app, from, to } = await serving(nodes);
    valueOf(await from.stub.drain({ node: from.id, actor: "user:operator" }));
    await evictAll(app, from);
    for (const node of nodes) await node.heartbeat();
    await receiveUntil(to, () => has(to, app));
    await evictAll(app, from);
    expect(await endpointsOf(app)).toEqual([from.id]);
    await eventually(async () => {
      const { drain } = valueOf(await from.stub.readNode({ node: from.id }));
      expect(drain?.holding).toMatchObject([{ app, reason: expect.stringContaining("not ready yet") }]);
    });
    await to.heartbeat();
    await evictAll(app, from);
    await eventually(async () => expect(await endpointsOf(app)).toEqual([to.id]));
    await receiveUntil(from, () => has(from, app, "drain"));
    await eventually(async () => {
      const { drain } = valueOf(await from.stub.readNode({ node: from.id }));
      expect(drain?.holding).toMatchObject([{ reason: expect.stringContaining("serves out its drain until") }]);
    });
    const { items } = valueOf(await stubOf(app).listEvents({ afterSeq: 0, limit: 200 }));
    const story = items.map(({ type }) => type);
    for (const type of ["instance.evacuating", "instance.draining"]) {
      expect(story.filter((each) => each === type)).toHaveLength(1);
    }
  });

  it("that is called off before the replacement is ready leaves everything where it was", async () => {
    const nodes = [await readyNode(43, "moves-b.0"), await readyNode(44, "moves-b.0")] as const;
    const { app, from, to } = await serving(nodes);
    valueOf(await from.stub.drain({ node: from.id, actor: "user:operator" }));
    await receiveUntil(to, () => has(to, app));
    await evictAll(app, from);
    valueOf(await from.stub.uncordon({ node: from.id, actor: "user:operator" }));
    await evictAll(app, from);
    await receiveUntil(to, () => !has(to, app));
    expect(has(from, app, "run")).toBe(true);
    expect(await endpointsOf(app)).toEqual([from.id]);
  });
});

describe("a node that falls silent", () => {
  afterEach(() => void vi.useRealTimers());

  /** A clock that goes by hand, ahead of the platform's: no alarm rings by itself, and none is late because the machine is busy. */
  const clockByHand = (): void => {
    vi.useFakeTimers({ toFake: ["Date"] });
    vi.setSystemTime(Date.now() + 3_600_000);
  };
  /** The other one goes on being heard, and alarms ring when they are due, until it is so. */
  const whileHeard = async (node: FleetNode, app: AppId, look: () => Promise<void>): Promise<void> => {
    for (let beats = 0; ; beats += 1) {
      vi.setSystemTime(Date.now() + 500);
      for (const stub of [node.stub, stubOf(app)]) await runDurableObjectAlarm(stub as never);
      await node.heartbeat();
      try {
        return await eventually(look, 50);
      } catch (error) {
        if (beats > 120) throw error;
      }
    }
  };

  it("has room held elsewhere while it is suspect, given back when nobody knows since when, and used once it is lost", async () => {
    recorded.prober = "silent";
    clockByHand();
    const nodes = [await readyNode(49, "moves-e.0"), await readyNode(50, "moves-e.0")] as const;
    const { app, from, to } = await serving(nodes);
    const instances = async () =>
      Object.fromEntries(valueOf(await stubOf(app).listInstances({})).items.map(({ node, phase }) => [node, phase]));
    const story = async (type: string) =>
      valueOf(await stubOf(app).listEvents({ afterSeq: 0, limit: 200 })).items.filter((each) => each.type === type);
    const isHeld = async () => expect(await instances()).toEqual({ [from.id]: "ready", [to.id]: "placing" });
    await whileHeard(to, app, isHeld);
    expect(await endpointsOf(app)).toEqual([from.id]);
    // The Cell forgets how long the node has been silent: it is believed in anew.
    await evictAll(app, from);
    await whileHeard(to, app, async () => expect(await instances()).toEqual({ [from.id]: "ready" }));
    expect(await story("instance.stopped")).toHaveLength(0);
    await whileHeard(to, app, isHeld);
    expect(has(to, app)).toBe(false);
    await whileHeard(to, app, async () => {
      expect(valueOf(await from.stub.readNode({ node: from.id })).phase).toBe("lost");
    });
    await whileHeard(to, app, async () => {
      await to.receive(50);
      expect(has(to, app)).toBe(true);
    });
    await whileHeard(to, app, async () => expect(await endpointsOf(app)).toEqual([to.id]));
    expect(await story("instance.reserved")).toHaveLength(2);
    expect(await story("instance.placed")).toHaveLength(2);
  });
});

describe("a singleton", () => {
  it("is released one after the other: the new one is placed when the node said that the old one stopped", async () => {
    const nodes = [await readyNode(45, "moves-c.0"), await readyNode(46, "moves-c.0")] as const;
    const { app, accept, from } = await serving(nodes, "available");
    const old = from.desired?.instances.find((each) => each.app === app);
    valueOf(await accept());
    await receiveUntil(from, () => !has(from, app));
    await evictAll(app, from);
    // It has the document, but the container is still there.
    const observed = old
      ? [
          {
            instance: old.instance,
            generation: 1,
            app,
            status: { kind: "stopping" as const },
            restarts: 0,
            digest: null,
            sinceMs: 0,
          },
        ]
      : [];
    await from.heartbeat({ kind: "ready" }, { observed });
    await evictAll(app, from);
    const live = async () =>
      valueOf(await stubOf(app).listInstances({})).items.map(({ generation, phase }) => [generation, phase]);
    expect(await live()).toEqual([[1, "stopping"]]);
    await from.heartbeat();
    await eventually(async () => {
      await stubOf(app).poke();
      expect(await live()).toEqual([[2, expect.stringMatching(/placing|starting/)]]);
    });
  });

  it("moves off its node stop-first, with room held for it before it stops", async () => {
    const nodes = [await readyNode(47, "moves-d.0"), await readyNode(48, "moves-d.0")] as const;
    const { app, from, to } = await serving(nodes, "strict");
    valueOf(await from.stub.drain({ node: from.id, actor: "user:operator" }));
    await evictAll(app, from);
    await receiveUntil(from, () => !has(from, app));
    expect(has(to, app)).toBe(false);
    await evictAll(app, from);
    await from.heartbeat();
    await receiveUntil(to, () => has(to, app));
    await to.heartbeat();
    await eventually(async () => expect(await endpointsOf(app)).toEqual([to.id]));
    await from.heartbeat();
    await eventually(async () => {
      expect(valueOf(await from.stub.readNode({ node: from.id })).drain).toMatchObject({
        state: "drained",
        holding: [],
      });
    });
  });
});
