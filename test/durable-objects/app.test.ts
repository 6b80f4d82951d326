// The App object around its step: a deploy with every object evicted on the way, and each of its effects failing once.
import { env } from "cloudflare:workers";
import { evictAllDurableObjects, evictDurableObject, runDurableObjectAlarm, runInDurableObject } from "cloudflare:test";
import { beforeEach, describe, expect, it } from "vitest";
import { RolloutPlan } from "../../contracts/rollout-plan.ts";
import { hostKey, routeKey } from "../../contracts/route.ts";
import type { AppId } from "../../contracts/ids.ts";
import type { Route } from "../../contracts/route.ts";
import { asked, eventually, type FleetNode, HeldSocket, identityOf, readyNode, releaseOf, upgrade } from "./fleet.ts";
import { recorded, resetRecorded } from "./recorded.ts";

beforeEach(resetRecorded);

/** A fresh id for each test: objects of one file share their storage. */
let made = 0;
const nextApp = (): AppId => `app_01jzzzzzzze0a00000000001${String((made += 1)).padStart(2, "0")}` as AppId;
const stubOf = (app: AppId) => env.APP.getByName(app);

function valueOf<Value>(answer: { ok: true; value: Value } | { ok: false; failure: unknown }): Value {
  if (!answer.ok) throw new Error(JSON.stringify(answer.failure));
  return answer.value;
}

/** An app of one replica that runs on the node; without a node, of none. */
async function created(node?: FleetNode): Promise<AppId> {
  const app = nextApp();
  const identity = identityOf(app, node?.cell);
  valueOf(await stubOf(app).create({ ...asked, ...identity, replicas: node === undefined ? 0 : 1 }));
  return app;
}

/** The node gets its document, says ready, and the verifier's word completes the rollout. */
async function serve(app: AppId, node: FleetNode): Promise<void> {
  await placed(app, node);
  await node.heartbeat();
  await verifyLatest(app);
}

async function verifyLatest(app: AppId): Promise<void> {
  const asked = await eventually(() => {
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

describe("a deploy", () => {
  it("has the verifier ask what the release's smoke check says, and hold the answers against it", async () => {
    const node = await readyNode(1, "smoked.0");
    const app = await created(node);
    const smoke = { path: "/health?deep=1", statusMin: 204, statusMax: 204 };
    valueOf(await stubOf(app).acceptRelease({ ...releaseOf(), plan: RolloutPlan.parse({ smoke }) }));
    await serve(app, node);
    expect(recorded.verifications.findLast((one) => one.app === app)).toMatchObject({ path: smoke.path, smoke });
  });

  it("goes from an accepted release to a completed rollout and a published route", async () => {
    const node = await readyNode(1, "whole.0");
    const app = await created(node);
    const accepted = valueOf(await stubOf(app).acceptRelease(releaseOf()));
    expect(accepted.rollout?.phase).toBe("rolling");
    await serve(app, node);
    const { rollout } = accepted;
    if (rollout === null) throw new Error("no rollout");
    expect(valueOf(await stubOf(app).readRollout({ rollout: rollout.id }))).toMatchObject({ phase: "completed" });
    const route = valueOf(await stubOf(app).route());
    expect(route.state).toMatchObject({ kind: "serving", releases: [{ weight: 100, endpoints: [{ node: node.id }] }] });
    await eventually(async () => expect(await env.ROUTES.get<Route>(routeKey(app), "json")).toEqual(route));
    const [hostname = ""] = identityOf(app).hostnames;
    expect(await env.ROUTES.get(hostKey(hostname), "json")).toMatchObject({ app });
  });

  it("goes on wherever it was when every object was evicted between its steps", async () => {
    const node = await readyNode(2, "evicted.0");
    const app = await created(node);
    await evictAllDurableObjects();
    const { rollout } = valueOf(await stubOf(app).acceptRelease(releaseOf()));
    await evictAllDurableObjects();
    await stubOf(app).poke();
    await placed(app, node);
    await evictAllDurableObjects();
    await node.heartbeat();
    await evictAllDurableObjects();
    await eventually(async () => {
      await stubOf(app).poke();
      expect(valueOf(await stubOf(app).read({})).readyInstances).toBe(1);
    });
    await evictAllDurableObjects();
    await stubOf(app).poke();
    await verifyLatest(app);
    await evictAllDurableObjects();
    if (rollout === null) throw new Error("no rollout");
    expect(valueOf(await stubOf(app).readRollout({ rollout: rollout.id }))).toMatchObject({ phase: "completed" });
    const { items } = valueOf(await stubOf(app).listInstances({ all: true }));
    expect(items.filter(({ phase }) => phase === "ready")).toHaveLength(1);
    expect(new Set(items.map(({ ordinal, generation }) => `${ordinal}/${generation}`)).size).toBe(items.length);
  });

  it("answers the same key with the same release, and another body under it with a refusal, over an eviction", async () => {
    const app = await created();
    const once = { ...releaseOf(), idempotencyKey: "key-1" };
    const first = valueOf(await stubOf(app).acceptRelease(once));
    await evictDurableObject(stubOf(app) as never);
    expect(valueOf(await stubOf(app).acceptRelease(once)).release?.id).toBe(first.release?.id);
    const other = { ...releaseOf("registry.example.test/hello:v2"), idempotencyKey: "key-1" };
    expect(await stubOf(app).acceptRelease(other)).toMatchObject({
      ok: false,
      failure: { code: "idempotency_key_reused" },
    });
    expect(valueOf(await stubOf(app).listReleases({ limit: 10 })).items).toHaveLength(1);
  });
});

describe("an App's sockets", () => {
  it("hear how far the events are at once, of each new one, and still do after an eviction", async () => {
    const app = await created();
    const held = new HeldSocket(await stubOf(app).fetch("https://app/events", upgrade));
    await held.until(({ messages }) => messages.length > 0);
    const before = lastSeqOf(held);
    expect(before).toBe(valueOf(await stubOf(app).listEvents({ afterSeq: 0, limit: 100 })).lastSeq);
    await stubOf(app).acceptRelease(releaseOf());
    await held.until(() => lastSeqOf(held) > before);
    const between = lastSeqOf(held);
    await evictDurableObject(stubOf(app) as never);
    await stubOf(app).acceptRelease(releaseOf("registry.example.test/hello:v2"));
    await held.until(() => lastSeqOf(held) > between);
    const { items, lastSeq } = valueOf(await stubOf(app).listEvents({ afterSeq: before, limit: 100 }));
    expect(items.map(({ seq }) => seq)).toEqual(items.map((_, index) => before + 1 + index));
    expect(lastSeqOf(held)).toBe(lastSeq);
  });

  it("are not opened for an app that does not exist, nor for a plain request", async () => {
    const app = nextApp();
    expect((await stubOf(app).fetch("https://app/events", upgrade)).status).toBe(404);
    expect((await stubOf(app).fetch("https://app/events")).status).toBe(426);
    expect((await stubOf(app).fetch("https://app/do/call/destroy", upgrade)).status).toBe(404);
    expect(await stubOf(app).read({})).toMatchObject({ ok: false, failure: { code: "not_found" } });
  });
});

describe("an App's alarm", () => {
  it("finishes what a lost effect left behind, on an object that nothing else wakes", async () => {
    recorded.sink = "away";
    const app = await created();
    await eventually(() => expect(recorded.batches.some(({ source }) => source === `app:${app}`)).toBe(true));
    await evictDurableObject(stubOf(app) as never);
    recorded.sink = "works";
    expect(await runDurableObjectAlarm(stubOf(app) as never)).toBe(true);
    await eventually(() => expect(recorded.events.get(`app:${app}`)?.map(({ seq }) => seq)[0]).toBe(1));
  });

  it("does not throw and is armed again when the step itself fails", async () => {
    recorded.sink = "away";
    const app = await created();
    await runInDurableObject(stubOf(app) as never, (_app: never, state) => {
      // A row of a shape that no version ever wrote.
      state.storage.sql.exec("UPDATE object_row SET value = '{}' WHERE table_name = 'app'");
    });
    await evictDurableObject(stubOf(app) as never);
    // Looked at again while the platform rings it by itself, or is about to.
    await eventually(async () => expect(await runDurableObjectAlarm(stubOf(app) as never)).toBe(true));
    await eventually(async () => {
      const armed = runInDurableObject(stubOf(app) as never, (_app: never, state) => state.storage.getAlarm());
      expect(await armed).toBeGreaterThan(Date.now());
    });
    expect(await stubOf(app).scale({ ...asked, replicas: 3 })).toMatchObject({ ok: false });
  });
});

describe("a failure of each effect", () => {
  it("of the outbox: the deploy completes without Postgres, whose rows follow in order", async () => {
    recorded.sink = "away";
    const node = await readyNode(3, "outbox.0");
    const app = await created(node);
    valueOf(await stubOf(app).acceptRelease(releaseOf()));
    await serve(app, node);
    expect(valueOf(await stubOf(app).read({})).status).toBe("healthy");
    expect(recorded.events.get(`app:${app}`)).toBeUndefined();
    recorded.sink = "works";
    await evictDurableObject(stubOf(app) as never);
    await stubOf(app).poke();
    await eventually(async () => {
      const { lastSeq } = valueOf(await stubOf(app).listEvents({ afterSeq: 0, limit: 1 }));
      expect(recorded.events.get(`app:${app}`)?.map(({ seq }) => seq)).toEqual(
        Array.from({ length: lastSeq }, (_, index) => index + 1),
      );
    });
  });

  it("of the verifier: the rollout goes on verifying, asks again, and completes", async () => {
    recorded.verifier = "throws";
    const node = await readyNode(4, "verifier.0");
    const app = await created(node);
    const { rollout } = valueOf(await stubOf(app).acceptRelease(releaseOf()));
    await placed(app, node);
    await node.heartbeat();
    await eventually(() => expect(countOf(app)).toBeGreaterThan(0));
    if (rollout === null) throw new Error("no rollout");
    expect(valueOf(await stubOf(app).readRollout({ rollout: rollout.id })).phase).toBe("verifying");
    const before = countOf(app);
    recorded.verifier = "works";
    await eventually(() => expect(countOf(app)).toBeGreaterThan(before));
    await verifyLatest(app);
    expect(valueOf(await stubOf(app).readRollout({ rollout: rollout.id })).phase).toBe("completed");
  });

  it("of KV: the object itself has the route, and KV gets it once it can", async () => {
    const node = await readyNode(5, "kv.0");
    const app = await created(node);
    valueOf(await stubOf(app).acceptRelease(releaseOf()));
    const put = env.ROUTES.put.bind(env.ROUTES);
    let refused = 0;
    Object.defineProperty(env.ROUTES, "put", {
      configurable: true,
      value: () => {
        refused += 1;
        return Promise.reject(new Error("KV is away"));
      },
    });
    try {
      await serve(app, node);
      expect(valueOf(await stubOf(app).route()).state.kind).toBe("serving");
      await eventually(() => expect(refused).toBeGreaterThan(0));
    } finally {
      Object.defineProperty(env.ROUTES, "put", { configurable: true, value: put });
    }
    await eventually(async () => {
      expect(await env.ROUTES.get<Route>(routeKey(app), "json")).toEqual(valueOf(await stubOf(app).route()));
    });
  });

  it("of a claim: a hostname that another app has stays with it", async () => {
    const first = await created();
    const [hostname = ""] = identityOf(first).hostnames;
    await eventually(async () => {
      expect(await env.HOST.getByName(hostname).resolve({ hostname })).toMatchObject({ value: { app: first } });
    });
    const second = nextApp();
    valueOf(await stubOf(second).create({ ...asked, ...identityOf(second), hostnames: [hostname], replicas: 0 }));
    await stubOf(second).poke();
    expect(await env.HOST.getByName(hostname).resolve({ hostname })).toMatchObject({ value: { app: first } });
  });
});

describe("destroying an app", () => {
  it("stops its instances and gives its hostname back", async () => {
    const node = await readyNode(6, "destroyed.0");
    const app = await created(node);
    valueOf(await stubOf(app).acceptRelease(releaseOf()));
    await placed(app, node);
    await serve(app, node);
    valueOf(await stubOf(app).destroy(asked));
    const [hostname = ""] = identityOf(app).hostnames;
    await eventually(async () => {
      expect(await env.HOST.getByName(hostname).resolve({ hostname })).toEqual({ ok: true, value: null });
    });
    expect(await env.ROUTES.get(hostKey(hostname))).toBeNull();
    expect(valueOf(await stubOf(app).route()).state).toEqual({ kind: "unavailable", reason: "destroyed" });
  });
});

/** The node has the document that holds the app's instance. */
async function placed(app: AppId, node: FleetNode): Promise<void> {
  while (!node.desired?.instances.some((instance) => instance.app === app)) await node.receive();
}

function lastSeqOf(held: HeldSocket): number {
  return Math.max(...held.messages.map((message) => (JSON.parse(message) as { lastSeq: number }).lastSeq));
}

function countOf(app: AppId): number {
  return recorded.verifications.filter((verification) => verification.app === app).length;
}
