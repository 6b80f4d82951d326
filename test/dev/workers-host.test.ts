// Two workerd processes as the stack runs them: what they share, and what survives when one of them is killed.
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { untilGone } from "../../dev/process/end.ts";
import { identify } from "../../dev/process/identity.ts";
import { twoWorkers, type TwoWorkers } from "./two-workers.ts";

let workers: TwoWorkers;

beforeAll(async () => {
  workers = await twoWorkers();
});
afterAll(() => workers.remove());

const answers = (worker: "owner" | "user", path: string) => expect.poll(() => workers.ask(worker, path).catch((error: Error) => error.message), { interval: 20 }); // prettier-ignore

describe("two Workers in a workerd each", () => {
  test("get the variables of wrangler.toml, those of the stack winning", async () => {
    expect(JSON.parse(await workers.ask("owner", "/"))).toMatchObject({ secret: "s3cret", fromToml: "yes" });
  });

  test("share the objects of one of them, and a KV namespace", async () => {
    const first = Number(await workers.ask("owner", "/count"));
    expect(Number(await workers.ask("user", "/count"))).toBe(first + 1);
    await workers.ask("owner", "/put?key=a&value=1");
    expect(await workers.ask("user", "/get?key=a")).toBe("1");
  });

  test("the user serves from KV while the owner is down, and fails at once where it needs an object", async () => {
    await workers.ask("owner", "/put?key=b&value=2");
    await workers.owner.kill("SIGKILL", { hold: true });
    expect(await workers.ask("user", "/get?key=b")).toBe("2");
    const startedMs = performance.now();
    expect(await workers.ask("user", "/count")).toMatch(/lost|not found/i);
    expect(performance.now() - startedMs).toBeLessThan(20_000);
    await workers.owner.start();
  });

  test("SIGKILL of the host leaves no workerd, and the next is found by the other Worker on the same port", async () => {
    const before = Number(await workers.ask("owner", "/count"));
    const workerd = identify(workers.workerd.owner ?? 0);
    expect(workerd).not.toBeNull();
    await workers.owner.kill("SIGKILL");
    if (workerd !== null) expect(await untilGone(workerd, 30_000)).toBe(true);
    await workers.owner.untilReady();
    await answers("user", "/count").toMatch(/^\d+$/);
    expect(Number(await workers.ask("owner", "/count"))).toBeGreaterThan(before);
    expect(workers.owner.restarts).toBeGreaterThan(0);
  });

  test("SIGKILL of workerd alone is mended by its host, with every acknowledged write", async () => {
    const before = Number(await workers.ask("owner", "/count"));
    const killed = workers.workerd.owner ?? 0;
    process.kill(killed, "SIGKILL");
    await expect.poll(() => workers.workerd.owner).not.toBe(killed);
    await answers("owner", "/").toContain("s3cret");
    expect(Number(await workers.ask("owner", "/count"))).toBe(before + 1);
    await answers("user", "/count").toMatch(/^\d+$/);
  });
});
