// One Worker in one workerd, as a process of its own: `node main.ts <plan.json>`. Ends with the supervisor that started it.
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { convertV4MiniflareOptions, Log, LogLevel, Miniflare } from "miniflare";
import { HostPlan, type HostReady } from "./plan.ts";

type Options = Parameters<typeof convertV4MiniflareOptions>[0];
const CRON_MS = 60_000;

const planPath = process.argv[2];
if (planPath === undefined) throw new Error("usage: main.ts <plan.json>");
const plan = HostPlan.parse(JSON.parse(readFileSync(planPath, "utf8")));

const miniflare = new Miniflare(
  convertV4MiniflareOptions({
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
  } as Options),
);
await miniflare.ready;
announce();

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
  const message: HostReady = { kind: "ready", workerdPid: findWorkerd() };
  process.send?.(message);
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
