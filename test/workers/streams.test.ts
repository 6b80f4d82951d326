// Event streams against the real App object: nothing missed, nothing twice, and no longer than the caller may.
import { beforeEach, describe, expect, it } from "vitest";
import { BerthEvent } from "../../contracts/events.ts";
import type { AppId, ProjectId, RegionName, TeamId } from "../../contracts/ids.ts";
import { mintId } from "../../db/ids.ts";
import { eventStream } from "../../workers/control/streams/events.ts";
import { controlEnv } from "./control-env.ts";

const asked = { actor: "user:test", idempotencyKey: null };
let app: AppId;
const team = mintId<TeamId>("team");

beforeEach(async () => {
  app = mintId<AppId>("app");
  const facts = { app, team, project: mintId<ProjectId>("proj"), name: `a-${app.slice(-8)}` };
  const regions = ["local" as RegionName];
  await controlEnv.APP.getByName(app).create({ ...asked, ...facts, hostnames: [], regions, replicas: 1 });
});

/** One more event of the app. */
const change = () =>
  controlEnv.APP.getByName(app).changeEnvironment({
    ...asked,
    set: { A: `{"sealed": "${Math.random()}"}` },
    unset: [],
  });

interface Follower {
  next(): Promise<{ id: string; event: BerthEvent }>;
  end(): Promise<boolean>;
}

async function follow(
  options: { afterSeq?: number; stillAllowed?: () => Promise<boolean>; signal?: AbortSignal } = {},
): Promise<Follower> {
  const { afterSeq = 0, stillAllowed = async () => true, signal = new AbortController().signal } = options;
  const reader = (
    await eventStream(controlEnv, { app, team, afterSeq, signal, stillAllowed, waitUntil: (work) => void work })
  ).getReader();
  let text = "";
  const block = async (): Promise<string | null> => {
    for (;;) {
      const at = text.indexOf("\n\n");
      if (at >= 0) {
        const found = text.slice(0, at);
        text = text.slice(at + 2);
        if (!found.startsWith(":")) return found;
        continue;
      }
      const { done, value } = await reader.read();
      if (done) return null;
      text += new TextDecoder().decode(value);
    }
  };
  return {
    async next() {
      const lines = ((await block()) ?? "").split("\n");
      const field = (name: string) => lines.find((line) => line.startsWith(`${name}: `))?.slice(name.length + 2) ?? "";
      const event = BerthEvent.parse(JSON.parse(field("data")));
      expect(field("event")).toBe(event.type);
      return { id: field("id"), event };
    },
    end: async () => (await block()) === null,
  };
}

describe("an event stream", () => {
  it("begins with what happened before, and goes on with what happens then", async () => {
    const events = await follow();
    const first = await events.next();
    expect([first.id, first.event.type]).toEqual(["1", "app.created"]);
    await change();
    const second = await events.next();
    expect([second.id, second.event.type]).toEqual(["2", "app.environment_changed"]);
  });

  it("goes on after the last event that the client saw", async () => {
    await change();
    await change();
    expect((await (await follow({ afterSeq: 2 })).next()).id).toBe("3");
  });

  it("misses nothing and repeats nothing while much happens", async () => {
    const events = await follow();
    const changes = (async () => {
      for (let count = 0; count < 150; count += 1) await change();
    })();
    for (let seq = 1; seq <= 151; seq += 1) expect((await events.next()).id).toBe(String(seq));
    await changes;
  });

  it("ends, and shows nothing more, once the caller's token no longer stands", async () => {
    let allowed = true;
    const events = await follow({ stillAllowed: async () => allowed });
    await events.next();
    allowed = false;
    await change();
    expect(await events.end()).toBe(true);
  });

  it("of an app that was never made is refused", async () => {
    app = mintId<AppId>("app");
    await expect(follow()).rejects.toMatchObject({ failure: { code: "not_found" } });
  });
});
