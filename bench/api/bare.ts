// Starts the bare Worker in a workerd of its own, with the bindings of the stack's control Worker.
import { once } from "node:events";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { spawnNode, untilReadyMessage } from "../../dev/stack/child.ts";
import { writePrivate } from "../../dev/stack/state.ts";
import type { HostPlan, HostReady } from "../../dev/workers-host/plan.ts";
import { choosePort } from "../../dev/ports.ts";
import { bundleWorker } from "../../self-hosted/build/bundle.ts";
import { readWranglerConfig } from "../../self-hosted/build/wrangler-config.ts";

const root = (path: string): string => fileURLToPath(new URL(`../../${path}`, import.meta.url));

export async function startBare(
  dir: string,
  bindings: Record<string, string>,
): Promise<{ url: string; workerdPid(): number; stop(): Promise<void> }> {
  const worker = readWranglerConfig(root("wrangler.toml"));
  const [scriptPath, planPath] = [join(dir, "bare.mjs"), join(dir, "bare.json")];
  for (const folder of ["storage", "registry"]) mkdirSync(join(dir, folder), { recursive: true });
  await bundleWorker(fileURLToPath(new URL("./worker/index.ts", import.meta.url)), scriptPath, worker);
  const port = await choosePort([]);
  const plan: HostPlan = {
    name: "bare",
    scriptPath,
    port,
    storageDir: join(dir, "storage"),
    registryDir: join(dir, "registry"),
    everyMinute: false,
    bindings: { ...worker.vars, ...bindings },
    options: worker.options,
  };
  writePrivate(planPath, JSON.stringify(plan));
  const child = spawnNode({
    script: root("dev/workers-host/main.ts"),
    args: [planPath],
    logFile: join(dir, "bare.log"),
    environment: {},
    channel: true,
  });
  let workerdPid: number | null = null;
  await untilReadyMessage<HostReady>(child, (ready) => (workerdPid = ready.workerdPid));
  return {
    url: `http://127.0.0.1:${port}`,
    workerdPid() {
      if (workerdPid === null) throw new Error("the bare Worker's workerd is not to be found");
      return workerdPid;
    },
    async stop() {
      const ended = once(child, "exit");
      child.kill("SIGTERM");
      await ended;
    },
  };
}
