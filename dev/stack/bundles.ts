// What the stack runs, bundled from source at its start: the two Workers and the agent.
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { bundleAgent as bundle } from "../../node-agent/build/bundle-agent.ts";
import type { ChildSpec } from "./child.ts";
import { workerSpec } from "./workers.ts";

const ROOT = fileURLToPath(new URL("../../", import.meta.url));

export interface WorkersPlan {
  readonly stateDir: string;
  readonly ports: { readonly control: number; readonly edge: number };
  readonly bindings: { readonly control: Record<string, string>; readonly edge: Record<string, string> };
  readonly onWorkerd: (role: string, pid: number | null) => void;
}

export async function bundleControlAndEdge({
  stateDir,
  ports,
  bindings,
  onWorkerd,
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
      }),
    ),
  );
}

/** The file that an operator installs on a server, made as `npm run build:agent` makes it. */
export async function bundleAgent(stateDir: string): Promise<string> {
  const outfile = join(stateDir, "bundles", "agent.mjs");
  await bundle(outfile);
  return outfile;
}
