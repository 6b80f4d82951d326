// The Workers' files of a self-hosted platform: three bundles and workerd's configuration, into one folder.
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { bundleWorker } from "./bundle.ts";
import { workerdConfiguration, type ConfigurationInput } from "./configuration.ts";
import { readWranglerConfig } from "./wrangler-config.ts";

const PROJECT = fileURLToPath(new URL("../..", import.meta.url));

export const CONFIGURATION_FILE = "berth.capnp";

/** Bundles the Workers into the folder, and answers with the configuration that runs them from there. */
export async function bundleWorkers(
  folder: string,
  { sockets, vars, secrets }: Omit<ConfigurationInput, "control" | "edge">,
): Promise<string> {
  const control = readWranglerConfig(join(PROJECT, "wrangler.toml"));
  const edge = readWranglerConfig(join(PROJECT, "workers/edge/wrangler.toml"));
  const own = (file: string): string => join(PROJECT, "self-hosted/workers", file);
  await Promise.all([
    bundleWorker(own("control.ts"), join(folder, "control.mjs"), control),
    bundleWorker(edge.mainPath, join(folder, "edge.mjs"), edge),
    bundleWorker(own("stores.ts"), join(folder, "stores.mjs")),
  ]);
  return workerdConfiguration({
    sockets,
    control,
    edge,
    secrets,
    vars: { ...vars, control: { ...control.vars, ...vars.control }, edge: { ...edge.vars, ...vars.edge } },
  });
}
