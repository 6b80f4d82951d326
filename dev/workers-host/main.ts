// One Worker in one workerd, as a process of its own: `node main.ts <plan.json>`. Ends with the supervisor that started it.
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { convertV4MiniflareOptions, Log, LogLevel, Miniflare } from "miniflare";
import { identify } from "../process/identity.ts";
import { HostPlan, type HostReady } from "./plan.ts";

type Options = Parameters<typeof convertV4MiniflareOptions>[0];
const CRON_MS = 60_000;
const START_ATTEMPTS_MAX = 10;
const WATCH_MS = 500;
const RESTART_WITHIN_MS = 3_000;

const planPath = process.argv[2];
if (planPath === undefined) throw new Error("usage: main.ts <plan.json>");
const plan = HostPlan.parse(JSON.parse(readFileSync(planPath, "utf8")));

const miniflare = await startMiniflare();
let workerdPid: number | null = null;
announce();
setInterval(endIfBroken, WATCH_MS).unref();

async function startMiniflare(): Promise<Miniflare> {
  for (let attempt = 1; ; attempt++) {
    const starting = new Miniflare(convertV4MiniflareOptions(miniflareOptions()));
    try {
      await starting.ready;
      return starting;
    } catch (error) {
      await starting.dispose().catch(() => {});
      // The Workers of a stack share the KV namespace's files, and two workerds that open them at once refuse each other.
      if (attempt === START_ATTEMPTS_MAX || !String(error).includes("SQLITE_BUSY")) throw error;
      await sleep(50 + Math.random() * 200);
    }
  }
}

function miniflareOptions(): Options {
  return {
    host: "127.0.0.1",
    // The entry socket goes through Miniflare's own Worker, three times slower: only cron is sent there.
    port: 0,
    log: new Log(LogLevel.WARN),
    logRequests: false,
    cf: false,
    resourcePersistencePath: plan.storageDir,
    unsafeDevRegistryPath: plan.registryDir,
    unsafeHandleRuntimeRestart: announce,
    workers: [
      {
        ...plan.options,
        name: plan.name,
        modules: true,
        script: readFileSync(plan.scriptPath, "utf8"),
        bindings: plan.bindings,
        stripCfConnectingIp: false,
        // Straight to the user's Worker, on a port that stays the same when workerd is started again.
        unsafeDirectSockets: [{ host: "127.0.0.1", port: plan.port }],
      },
    ],
  } as Options;
}

// Cloudflare's cron has no local clock in workerd.
if (plan.everyMinute) {
  setInterval(() => {
    runCron().catch((error: unknown) => console.error("cron failed:", error));
  }, CRON_MS).unref();
}

async function runCron(): Promise<void> {
  const worker = await miniflare.getWorker();
  await worker.scheduled({ cron: "* * * * *" });
}

function announce(): void {
  workerdPid = findWorkerd();
  const message: HostReady = { kind: "ready", workerdPid };
  process.send?.(message);
}

let missedChecks = 0;
/** Miniflare starts a workerd that crashed once more; where that fails too, only a new host helps. */
function endIfBroken(): void {
  missedChecks = workerdPid !== null && identify(workerdPid) !== null ? 0 : missedChecks + 1;
  if (missedChecks > RESTART_WITHIN_MS / WATCH_MS) process.exit(1);
}

/** Miniflare keeps its child to itself: look among our own children. */
function findWorkerd(): number | null {
  const list = execFileSync("ps", ["-A", "-o", "pid=,ppid=,args="], { encoding: "utf8" });
  for (const line of list.split("\n")) {
    const [, pid, parent, command] = /^\s*(\d+)\s+(\d+)\s+(.*)$/.exec(line) ?? [];
    if (Number(parent) === process.pid && command?.includes("workerd")) return Number(pid);
  }
  return null;
}

let ending = false;
function endSoon(): void {
  if (ending) return;
  ending = true;
  // Disposing kills workerd; its storage is made for that (every acknowledged write is on disk).
  void miniflare.dispose().finally(() => process.exit(0));
}
process.once("SIGTERM", endSoon);
process.once("disconnect", endSoon);
