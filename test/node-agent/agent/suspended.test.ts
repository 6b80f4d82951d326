// A host that was suspended: the monotonic clock stood still, and what counts a lease counts on all the same.
import { mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import { rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pino } from "pino";
import { afterEach, beforeEach, expect, test } from "vitest";
import { InstanceId } from "../../../contracts/ids.ts";
import { agentLimitsFrom } from "../../../core/converge/limits.ts";
import type { Notices } from "../../../node-agent/agent/report/notices.ts";
import { Contact, CONTACT_FILE } from "../../../node-agent/agent/state/contact.ts";
import { HOST_CLOCKS, momentOf } from "../../../node-agent/agent/state/moment.ts";
import { bootId } from "../../../node-agent/agent/state/process-id.ts";
import { StrictSingletons } from "../../../node-agent/agent/supervise/strict.ts";
import type { WatchdogChild } from "../../../node-agent/agent/watchdog/watchdog-child.ts";
import { overdueMs } from "../../../node-agent/agent/watchdog/watchdog.ts";
import { desired, until } from "./world.ts";

const limits = agentLimitsFrom({ strictWatchMs: 20 });
const { strictStopMs } = limits;
const MINUTE_MS = 60_000;

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "berth-suspended-"));
});
afterEach(() => rm(dir, { recursive: true, force: true }));

/** A host that can be suspended: its uptime goes on then, its monotonic clock does not. */
function host() {
  const clocks = { awakeMs: 100_000, asleepMs: 7_000 };
  return {
    clocks: { monotonicMs: () => clocks.awakeMs, uptimeMs: () => clocks.awakeMs + clocks.asleepMs },
    runs: (ms: number) => (clocks.awakeMs += ms),
    sleeps: (ms: number) => (clocks.asleepMs += ms),
  };
}

test("the time asleep counts as silence, for this agent, for the next one and for the watchdog", async () => {
  const { clocks, runs, sleeps } = host();
  const contact = await Contact.open(dir, clocks);
  expect([contact.silentForMs, contact.uncoveredForMs]).toEqual([Infinity, Infinity]);
  await contact.answered(momentOf(clocks), true);
  runs(2_000);
  expect(contact.uncoveredForMs).toBe(2_000);
  expect(await overdueMs(dir, strictStopMs, clocks)).toBe(2_000 - strictStopMs);
  sleeps(MINUTE_MS);
  expect(contact.uncoveredForMs).toBe(2_000 + MINUTE_MS);
  expect(await overdueMs(dir, strictStopMs, clocks)).toBe(2_000 + MINUTE_MS - strictStopMs);
  const next = await Contact.open(dir, clocks);
  expect([next.silentForMs, next.uncoveredForMs]).toEqual([2_000 + MINUTE_MS, 2_000 + MINUTE_MS]);
});

test("an answer to what was sent before the sleep covers nothing after it", async () => {
  const { clocks, sleeps } = host();
  const contact = await Contact.open(dir, clocks);
  const sentAt = momentOf(clocks);
  sleeps(MINUTE_MS);
  await contact.answered(sentAt, true);
  expect(contact.uncoveredForMs).toBe(MINUTE_MS);
});

test("a contact file from before the uptime was kept is counted by the monotonic clock, and one of another boot is void", async () => {
  const { clocks } = host();
  const before = { bootId: bootId(), answeredMs: 99_000, committedMs: 98_000 };
  writeFileSync(join(dir, CONTACT_FILE), JSON.stringify(before));
  const contact = await Contact.open(dir, clocks);
  expect([contact.silentForMs, contact.uncoveredForMs]).toEqual([1_000, 2_000]);
  // A watchdog of that age reads on what it knows.
  await contact.answered(momentOf(clocks), true);
  expect(JSON.parse(readFileSync(join(dir, CONTACT_FILE), "utf8"))).toMatchObject({ committedMs: 100_000 });
  writeFileSync(join(dir, CONTACT_FILE), JSON.stringify({ ...before, bootId: "another" }));
  expect((await Contact.open(dir, clocks)).silentForMs).toBe(Infinity);
});

test("the agent ends its strict singletons within moments of waking up, although its timers slept too", async () => {
  const { clocks, runs, sleeps } = host();
  const contact = await Contact.open(dir, clocks);
  let lapses = 0;
  const watchdog = { ensure: () => Promise.resolve() } as WatchdogChild;
  const notices = { add: () => Promise.resolve() } as unknown as Notices;
  const log = pino({ enabled: false });
  const runtime = { kind: "docker" } as const;
  const strict = new StrictSingletons({
    ...{ dir, limits, log, contact, runtime, watchdog, notices },
    lapsed: () => (lapses += 1),
  });
  strict.answered(momentOf(clocks), true, 1, 1);
  lapses = 0;
  const { instance, generation } = desired();
  const id = InstanceId.parse(instance);
  await strict.admit({ instance: id, generation }, new AbortController().signal);
  runs(1_000);
  await new Promise((resolve) => setTimeout(resolve, 100));
  expect([strict.covered, lapses]).toEqual([true, 0]);
  sleeps(MINUTE_MS);
  expect(strict.covered).toBe(false);
  await until("the lapse", () => lapses > 0);
  // An answer that was on its way while the host slept mends nothing.
  strict.answered({ monotonicMs: 100_500, uptimeMs: 107_500 }, true, 1, 1);
  expect(strict.covered).toBe(false);
  await strict.leave();
});

test("the clocks of this host are the kernel's, and run alike while it is awake", async () => {
  /** The uptime, and between which monotonic times it was read: between two readings anything may take its time. */
  const look = () => [HOST_CLOCKS.monotonicMs(), HOST_CLOCKS.uptimeMs(), HOST_CLOCKS.monotonicMs()] as const;
  const [beforeMs, uptimeMs, afterMs] = look();
  const kernelMs = Number(readFileSync("/proc/uptime", "utf8").split(" ")[0]) * 1_000;
  expect(kernelMs).toBeGreaterThan(uptimeMs - 50);
  expect(kernelMs).toBeLessThan(HOST_CLOCKS.uptimeMs() + 50);
  expect(uptimeMs).toBeGreaterThan(beforeMs - 50);
  await new Promise((resolve) => setTimeout(resolve, 300));
  const [laterBeforeMs, laterMs, laterAfterMs] = look();
  expect(laterMs - uptimeMs).toBeGreaterThan(laterBeforeMs - afterMs - 50);
  expect(laterMs - uptimeMs).toBeLessThan(laterAfterMs - beforeMs + 50);
});
