// Starting after a kill: orphans are ended, what serves is left, strangers are never touched, one supervisor at a time.
import { spawn, type ChildProcess } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, expect, onTestFinished, test } from "vitest";
import { untilGone } from "../../dev/process/end.ts";
import { findMarked, identify, isAlive, STACK_VARIABLE, ROLE_VARIABLE } from "../../dev/process/identity.ts";
import { Ledger } from "../../dev/process/ledger.ts";
import { SupervisedChild } from "../../dev/stack/child.ts";
import { StackRunning, takeLock } from "../../dev/stack/lock.ts";
import { endAllMarked, endOrphans } from "../../dev/stack/orphans.ts";

let dir: string;
let stackId: string;

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "berth-recovery-"));
  stackId = `test-${process.pid}-${Math.random()}`;
});
afterEach(async () => {
  await endAllMarked(stackId);
  rmSync(dir, { recursive: true, force: true });
});

function firstLine(child: ChildProcess): Promise<string> {
  return new Promise((resolve) => child.stdout?.once("data", (chunk) => resolve(String(chunk))));
}

async function supervisorWithChildren() {
  const script = fileURLToPath(new URL("./supervisor-script.ts", import.meta.url));
  const supervisor = spawn(process.execPath, [script, dir, stackId], { stdio: ["ignore", "pipe", "inherit"] });
  const pids = JSON.parse(await firstLine(supervisor)) as Record<"control" | "agent" | "gateway", number>;
  return { supervisor, pids };
}

const lives = (pid: number) => identify(pid) !== null;

test("after SIGKILL of the supervisor its children are ended, and what an agent started serves on", async () => {
  const { supervisor, pids } = await supervisorWithChildren();
  supervisor.kill("SIGKILL");
  await expect.poll(() => supervisor.signalCode).toBe("SIGKILL");
  expect([pids.control, pids.agent, pids.gateway].every(lives)).toBe(true);
  await endOrphans(stackId, new Ledger(dir));
  expect({ control: lives(pids.control), agent: lives(pids.agent), gateway: lives(pids.gateway) }).toEqual({
    control: false,
    agent: false,
    gateway: true,
  });
});

test("orphans are found by their mark where the ledger was lost", async () => {
  const { supervisor, pids } = await supervisorWithChildren();
  supervisor.kill("SIGKILL");
  writeFileSync(join(dir, "processes.json"), "[{ cut short");
  expect(await endOrphans(stackId, new Ledger(dir))).toBeGreaterThanOrEqual(2);
  expect(lives(pids.control)).toBe(false);
});

test("a stop leaves nothing that carries the stack's mark", async () => {
  const { supervisor } = await supervisorWithChildren();
  supervisor.kill("SIGKILL");
  await endAllMarked(stackId);
  expect(findMarked(stackId)).toEqual([]);
});

test("a stranger who got a recorded pid is not ended", async () => {
  const stranger = spawn("sleep", ["60"]);
  onTestFinished(() => void stranger.kill("SIGKILL"));
  const entry = { role: "control", pid: stranger.pid, startTime: "1" };
  writeFileSync(join(dir, "processes.json"), JSON.stringify([entry]));
  expect(await endOrphans(stackId, new Ledger(dir))).toBe(0);
  expect(lives(stranger.pid ?? 0)).toBe(true);
});

test("another stack's processes are not ended", async () => {
  const other = spawn("sleep", ["60"], {
    env: { ...process.env, [STACK_VARIABLE]: "another", [ROLE_VARIABLE]: "control" },
  });
  onTestFinished(() => void other.kill("SIGKILL"));
  await expect.poll(() => findMarked("another").length).toBeGreaterThan(0);
  await endOrphans(stackId, new Ledger(dir));
  expect(lives(other.pid ?? 0)).toBe(true);
});

test("a second supervisor of the same folder is refused with the first one's pid", () => {
  const release = takeLock(dir);
  expect(() => takeLock(dir)).toThrow(StackRunning);
  expect(() => takeLock(dir)).toThrow(new RegExp(`process ${process.pid}`));
  release();
  takeLock(dir)();
});

test("a lock whose holder was killed is taken over", () => {
  writeFileSync(join(dir, "supervisor.json"), JSON.stringify({ pid: process.pid, startTime: "1" }));
  takeLock(dir)();
});

test("a child that ends by itself is started again, with growing pauses while it keeps ending", async () => {
  const starts: number[] = [];
  const child = new SupervisedChild(
    {
      role: "brief",
      start: () => {
        starts.push(performance.now());
        return spawn("sleep", ["0.02"], { detached: true, stdio: "ignore" });
      },
      untilReady: async () => {},
      stopSignal: "SIGTERM",
      ownsGroup: false,
    },
    { ledger: new Ledger(dir), stackId, log: () => {} },
  );
  await child.start();
  await expect.poll(() => starts.length).toBeGreaterThanOrEqual(7);
  await child.stop();
  const pauses = starts.slice(1).map((at, index) => at - (starts[index] ?? 0));
  // The first of a tenth of a second, the sixth of more than three: a busy machine makes any of them longer, and none shorter.
  expect(pauses[5]).toBeGreaterThan(3_000);
  expect(Math.min(...pauses.slice(0, 2))).toBeLessThan(3_000);
  const before = starts.length;
  await new Promise((resolve) => setTimeout(resolve, 300));
  expect(starts.length).toBe(before);
});

test("a child held down stays down until it is started", async () => {
  const child = new SupervisedChild(
    {
      role: "held",
      start: () => spawn("sleep", ["60"], { detached: true, stdio: "ignore" }),
      untilReady: async () => {},
      stopSignal: "SIGTERM",
      ownsGroup: false,
    },
    { ledger: new Ledger(dir), stackId, log: () => {} },
  );
  await child.start();
  const first = identify(child.pid ?? 0);
  await child.kill("SIGKILL", { hold: true });
  await new Promise((resolve) => setTimeout(resolve, 300));
  expect(child.pid).toBeNull();
  await child.start();
  const second = identify(child.pid ?? 0);
  expect(second !== null && isAlive(second)).toBe(true);
  expect(second?.pid).not.toBe(first?.pid);
  await child.stop();
  expect(second !== null && (await untilGone(second, 30_000))).toBe(true);
});
