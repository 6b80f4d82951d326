// What edges report of an App's instances, around its step: the second observer is asked, and its word outlives the object.
import { env } from "cloudflare:workers";
import { evictDurableObject, runInDurableObject } from "cloudflare:test";
import { beforeEach, describe, expect, it } from "vitest";
import type { AppId } from "../../contracts/ids.ts";
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

/** One app of one replica that is ready on the node; whether its rollout is over does not matter here. */
async function served(node: FleetNode): Promise<AppId> {
  const app = nextApp();
  valueOf(await stubOf(app).create({ ...asked, ...identityOf(app, node.cell), replicas: 1 }));
  valueOf(await stubOf(app).acceptRelease(releaseOf()));
  while (!node.desired?.instances.some((instance) => instance.app === app)) await node.receive();
  await node.heartbeat();
  await eventually(async () => expect(valueOf(await stubOf(app).route()).state.kind).toBe("serving"));
  return app;
}

describe("an instance that an edge could not reach", () => {
  const unreachable = async (app: AppId) => {
    const [instance] = valueOf(await stubOf(app).listInstances({})).items;
    if (instance === undefined) throw new Error("no instance");
    const { id, generation } = instance;
    return stubOf(app).reportUnreachable({ instance: id, generation, kind: "connect", atMs: Date.now() });
  };

  it("is asked about by a second observer, whose word is remembered over an eviction", async () => {
    const node = await readyNode(40, "unreachable.0");
    const app = await served(node);
    recorded.secondOpinion = "silent";
    valueOf(await unreachable(app));
    await eventually(() =>
      expect(recorded.secondOpinions).toMatchObject([{ app, targets: [{ endpoint: { node: node.id } }] }]),
    );
    await eventually(async () => expect(await phaseOf(app)).toBe("ejected"));
    await evictDurableObject(stubOf(app) as never);
    recorded.secondOpinion = "answers";
    await stubOf(app).poke();
    await eventually(async () => expect(await phaseOf(app)).toBe("cleared"));
    // The only instance: it never left the route.
    expect(valueOf(await stubOf(app).route()).state).toMatchObject({ releases: [{ endpoints: [{ node: node.id }] }] });
  });

  it("is asked about again when the second observer failed", async () => {
    const node = await readyNode(41, "unheard.0");
    const app = await served(node);
    recorded.secondOpinion = "throws";
    valueOf(await unreachable(app));
    await eventually(() => expect(recorded.secondOpinions).toHaveLength(1));
    recorded.secondOpinion = "answers";
    await eventually(async () => expect(await phaseOf(app)).toBe("cleared"));
  });

  function phaseOf(app: AppId): Promise<string | null> {
    return runInDurableObject(stubOf(app) as never, (_app: never, { storage }) => {
      const [row] = storage.sql
        .exec<{ value: string }>("SELECT value FROM object_row WHERE table_name = 'health'")
        .toArray();
      return row === undefined ? null : (JSON.parse(row.value) as { phase: { kind: string } }).phase.kind;
    });
  }
});
