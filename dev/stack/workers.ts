// The stack's two Workers: bundled from what production deploys, configured by the same wrangler.toml, each in a workerd of its own.
import { existsSync, mkdirSync, rmSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { bundleWorker } from "../../self-hosted/build/bundle.ts";
import type { HostPlan, HostReady } from "../workers-host/plan.ts";
import { readWranglerConfig } from "../../self-hosted/build/wrangler-config.ts";
import { spawnNode, untilReadyMessage, type ChildSpec } from "./child.ts";
import { madeOnce } from "./made-once.ts";
import { writePrivate } from "./state.ts";

/** The host only starts workerd and waits: a small heap saves 100 MB of resident memory per Worker. */
const HOST_FLAGS = ["--max-old-space-size=128", "--max-semi-space-size=1"];

export interface WorkerPlan {
  readonly role: "control" | "edge";
  readonly tomlPath: string;
  readonly stateDir: string;
  readonly port: number;
  /** Replace and add to the variables in wrangler.toml; secrets too. */
  readonly bindings: Readonly<Record<string, string>>;
  readonly onWorkerd: (pid: number | null) => void;
  /** As StackOptions says it. */
  readonly keptBundlesDir?: string | undefined;
}

/** Bundles the Worker and writes the plan for its host; the child it returns can be started any number of times. */
export async function workerSpec({
  role,
  tomlPath,
  stateDir,
  port,
  bindings,
  onWorkerd,
  keptBundlesDir,
}: WorkerPlan): Promise<ChildSpec> {
  const worker = readWranglerConfig(tomlPath);
  const scriptPath = join(stateDir, "bundles", `${role}.mjs`);
  const planPath = join(stateDir, "plans", `${role}.json`);
  await madeOnce(keptBundlesDir, `${role}.mjs`, scriptPath, (path) => bundleWorker(worker.mainPath, path, worker));
  const plan: HostPlan = {
    name: worker.name,
    scriptPath,
    port,
    storageDir: makeStorage(stateDir, role),
    registryDir: join(stateDir, "registry"),
    everyMinute: worker.everyMinute,
    bindings: { ...worker.vars, ...bindings },
    options: worker.options,
  };
  writePrivate(planPath, JSON.stringify(plan));
  const logFile = join(stateDir, "logs", `${role}.log`);
  return {
    role,
    logFile,
    // A killed host leaves its entry, which would keep its successor unfound for 90 s.
    prepare: async () => rmSync(join(plan.registryDir, plan.name), { force: true }),
    start: (environment) =>
      spawnNode({
        script: fileURLToPath(new URL("../workers-host/main.ts", import.meta.url)),
        args: [planPath],
        logFile,
        environment,
        channel: true,
        nodeFlags: HOST_FLAGS,
      }),
    untilReady: (child) => untilReadyMessage<HostReady>(child, ({ workerdPid }) => onWorkerd(workerdPid)),
    stopSignal: "SIGTERM",
    ownsGroup: true,
  };
}

/** A folder for each Worker, because two workerds in one get in each other's way; the KV namespaces alone are shared. */
function makeStorage(stateDir: string, role: string): string {
  const [own, kv] = [join(stateDir, "storage", role), join(stateDir, "storage", "kv")];
  for (const folder of [own, kv]) mkdirSync(folder, { recursive: true, mode: 0o700 });
  const link = join(own, "kv");
  if (!existsSync(link)) symlinkSync(kv, link);
  return own;
}
