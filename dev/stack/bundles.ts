// What the stack runs, bundled from source at its start: the two Workers and the agent.
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { bundleAgent as bundle, bundleLauncher, type BundleFacts } from "../../node-agent/build/bundle-agent.ts";
import type { ChildSpec } from "./child.ts";
import { madeOnce } from "./made-once.ts";
import { workerSpec } from "./workers.ts";

const ROOT = fileURLToPath(new URL("../../", import.meta.url));

export interface WorkersPlan {
  readonly stateDir: string;
  readonly ports: { readonly control: number; readonly edge: number };
  readonly bindings: { readonly control: Record<string, string>; readonly edge: Record<string, string> };
  readonly onWorkerd: (role: string, pid: number | null) => void;
  readonly keptBundlesDir?: string | undefined;
}

export async function bundleControlAndEdge({
  stateDir,
  ports,
  bindings,
  onWorkerd,
  keptBundlesDir,
}: WorkersPlan): Promise<ChildSpec[]> {
  const tomlPaths = { control: join(ROOT, "wrangler.toml"), edge: join(ROOT, "workers/edge/wrangler.toml") };
  return Promise.all(
    (["control", "edge"] as const).map((role) =>
      workerSpec({
        role,
        tomlPath: tomlPaths[role],
        stateDir,
        port: ports[role],
        bindings: bindings[role],
        onWorkerd: (pid) => onWorkerd(role, pid),
        keptBundlesDir,
      }),
    ),
  );
}

/** The files that an operator installs on a server, made as `npm run build:agent` makes them. release: with the launcher. */
export async function bundleAgent(
  stateDir: string,
  {
    release,
    keptBundlesDir,
  }: { readonly release?: BundleFacts | undefined; readonly keptBundlesDir?: string | undefined },
): Promise<{ bundlePath: string; launcherPath: string | null }> {
  const bundlePath = join(stateDir, "bundles", "agent.mjs");
  if (release === undefined) {
    await madeOnce(keptBundlesDir, "agent.mjs", bundlePath, bundle);
    return { bundlePath, launcherPath: null };
  }
  await bundle(bundlePath, release);
  // The launcher finds the agent beside itself.
  const launcherPath = join(stateDir, "bundles", "launcher.mjs");
  await bundleLauncher(launcherPath);
  return { bundlePath, launcherPath };
}
