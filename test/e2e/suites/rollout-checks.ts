// What a release has to pass before visitors see it, and what is run around it: commands before and after, the smoke check.
import { beforeAll, expect, test } from "vitest";
import { instancesOf } from "../nodes-support.ts";
import { by, createApp, ended, flawlessly, release, servedBy } from "../rollout-support.ts";
import { sharedWorld } from "../shared-world.ts";
import { type World } from "../support.ts";

const APP = "checked";
const REPLICAS = 2;

let world: World;
beforeAll(async () => {
  world = await sharedWorld();
  await createApp(world, APP, REPLICAS);
});

const exits = (code: number, text = "migrating") => ({
  command: ["node", "-e", `console.log(${JSON.stringify(text)}); process.exit(${code})`],
});

test("commands before and after run beside what serves, and the release comes into service", async () => {
  await flawlessly(world, APP, async () => {
    const good = await release(world, APP, { before: exits(0), after: exits(0, "warming caches") });
    await ended(world, APP, good, "completed");
  });
  await servedBy(world, APP, 2);
});

test("a command before that fails: nothing of the release is started, and the rollout has its exit code and its last lines", async () => {
  const seen = await flawlessly(world, APP, async () => {
    const bad = await release(world, APP, { before: exits(4) });
    const failed = await ended(world, APP, bad, "failed");
    expect(failed.failure).toMatchObject({ kind: "command", which: "before", exitCode: 4, logTail: ["migrating"] });
    const all = await instancesOf(world, APP);
    expect(all.filter(({ phase }) => phase === "ready")).toHaveLength(REPLICAS);
  });
  expect(by(seen, "v3")).toEqual([]);
  await servedBy(world, APP, 2);
});

test("a command that does not end: its time-out fails the rollout", async () => {
  const forever = { command: ["node", "-e", "setInterval(() => {}, 1000)"], timeoutMs: 3_000 };
  const bad = await release(world, APP, { before: forever });
  const failed = await ended(world, APP, bad, "failed");
  expect(failed.failure).toMatchObject({ kind: "command", which: "before" });
  await servedBy(world, APP, 2);
});

test("a command after that fails: the release before serves again", async () => {
  const seen = await flawlessly(world, APP, async () => {
    const bad = await release(world, APP, { after: exits(9) });
    const failed = await ended(world, APP, bad, "failed");
    expect(failed.failure).toMatchObject({ kind: "command", which: "after", exitCode: 9 });
    await servedBy(world, APP, 2);
  });
  expect(by(seen, "v5").length).toBeGreaterThan(0);
});

test("a smoke check that the release does not pass: it never gets traffic, and the rollout says what was answered", async () => {
  const seen = await flawlessly(world, APP, async () => {
    const smoke = { path: "/", statusMin: 200, statusMax: 299 };
    const bad = await release(world, APP, { smoke }, { flags: ["--errors=100"] });
    const failed = await ended(world, APP, bad, "failed");
    expect(failed.failure).toMatchObject({ kind: "smoke", message: expect.stringContaining("500") });
  });
  expect(by(seen, "v6")).toEqual([]);
  await servedBy(world, APP, 2);
});
