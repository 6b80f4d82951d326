// Custom domains at the edge: the exact hostname first, then the wildcard above it; and what a look costs.
import { afterAll, beforeAll, expect, test } from "vitest";
import { sleep } from "../node-agent/gateway/upstreams.ts";
import { bodies, edgeTest, Stage, type TestApp } from "./world.ts";

let stage: Stage;
let app: TestApp;
let other: TestApp;

beforeAll(async () => {
  stage = new Stage(await edgeTest(1));
  app = await served("wild");
  other = await served("exact");
});
afterAll(() => stage.stop());

async function served(name: string): Promise<TestApp> {
  const one = stage.fresh();
  await stage.put(1, one.row(1, await stage.named(name)));
  await one.publish(one.route([one.release(1, 100, [one.endpoint(1, 1)])]));
  return one;
}

const give = (hostname: string, to: TestApp | null, wish?: { kv?: boolean }) =>
  stage.world.edge.setHost(hostname, to === null ? null : { app: to.app, team: to.route([]).team }, wish);
const visit = async (host: string): Promise<string | undefined> => (await bodies(app, 1, { headers: { host } }))[0];
const asked = (hostname: string) => stage.world.edge.asked("host", hostname);

test("a hostname that nobody has by itself is the wildcard's, one label deep and no deeper", async () => {
  await give("*.one.test", app);
  expect(await visit("a.one.test")).toBe("wild");
  expect(await visit("A.One.Test.")).toBe("wild");
  expect(await visit("a.b.one.test")).toBe("404");
  expect(await visit("one.test")).toBe("404");
});

test("the exact hostname wins, in KV or with its owner alone, whichever team's it is", async () => {
  await give("*.two.test", app);
  await give("kv.two.test", other);
  await give("owner.two.test", other, { kv: false });
  expect([await visit("kv.two.test"), await visit("owner.two.test"), await visit("c.two.test")]).toEqual([
    "exact",
    "exact",
    "wild",
  ]);
  expect(await asked("kv.two.test"), "what KV has is asked of nobody").toBe(0);
});

test("the wildcard is read once for all the hostnames below it, and each of them asked for once", async () => {
  await give("*.three.test", app, { kv: false });
  for (let number = 0; number < 20; number++) expect(await visit(`h${number}.three.test`)).toBe("wild");
  expect(await asked("*.three.test")).toBe(1);
  for (let times = 0; times < 20; times++) await visit("h0.three.test");
  expect(await asked("h0.three.test")).toBe(1);
});

test("a wildcard that is there only now is found", async () => {
  expect(await visit("late.four.test")).toBe("404");
  await give("*.four.test", app);
  await sleep(150);
  expect(await visit("late.four.test")).toBe("wild");
});

test("no wildcard reaches below the platform's own domain, not even one that is written there", async () => {
  await give("*.localhost", app);
  expect(await visit("nobody-at-all.localhost")).toBe("404");
});

test("with the exact hostname's owner out of reach KV's wildcard serves; with nothing known it is no 404", async () => {
  await give("*.five.test", app);
  await stage.world.edge.setMode("host", "a.five.test", "broken");
  expect(await visit("a.five.test")).toBe("wild");
  await stage.world.edge.setMode("host", "a.six.test", "broken");
  expect(await visit("a.six.test")).toBe("503");
  await stage.world.edge.setMode("host", "*.seven.test", "broken");
  expect(await visit("a.seven.test")).toBe("503");
});
