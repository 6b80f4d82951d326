// From berth.toml and flags to a ReleaseSpec: what `berth deploy` sends.
import { resolve } from "node:path";
import { ReleaseSpec } from "../contracts/release.ts";
import type { BerthToml } from "./berth-toml.ts";
import type { Bundle } from "./bundle.ts";
import { CommandFailure, EXIT } from "./failure.ts";
import { httpOf } from "./rollout-toml.ts";
import { tomlFaults } from "./toml-faults.ts";

/** What to deploy: an image by reference, or a folder to be packed. */
export type Wanted =
  { readonly kind: "image"; readonly reference: string } | { readonly kind: "folder"; readonly folder: string };

export function wantedSource(toml: BerthToml | null, folder: string, image: string | undefined): Wanted {
  const reference = image ?? toml?.image;
  if (reference !== undefined) return { kind: "image", reference };
  return { kind: "folder", folder: resolve(folder, toml?.folder ?? ".") };
}

/** Every value is checked here as the API will check it, so that nothing is uploaded for a release that must be refused. */
export function releaseSpecOf(
  toml: BerthToml | null,
  source: Wanted,
  bundle: Bundle | null,
  port?: number,
): ReleaseSpec {
  const resources = toml?.resources;
  const candidate = {
    source: source.kind === "image" ? source : { kind: "bundle", hash: bundle?.hash },
    ...defined({
      command: toml?.command,
      port: port ?? toml?.port,
      stopGraceMs: toml?.stop_grace,
      readOnlyRoot: toml?.read_only_root,
      runtimeClass: toml?.run?.runtime_class,
      probes: toml?.probes === undefined ? undefined : defined(toml.probes),
      resources:
        resources === undefined
          ? undefined
          : defined({
              cpuMilli: resources.cpu === undefined ? undefined : Math.round(resources.cpu * 1000),
              memoryBytes: resources.memory,
              diskBytes: resources.disk,
              pids: resources.pids,
            }),
      http: httpOf(toml?.http),
      placement: toml?.placement === undefined ? undefined : placementOf(toml.placement),
    }),
  };
  const parsed = ReleaseSpec.safeParse(candidate);
  if (parsed.success) return parsed.data;
  throw new CommandFailure(`This release cannot be deployed:${tomlFaults(parsed.error.issues)}`, EXIT.usage);
}

function placementOf(placement: NonNullable<BerthToml["placement"]>) {
  const { failure_domains, away_from, host_ports, ...same } = placement;
  return defined({ ...same, failureDomains: failure_domains, awayFrom: away_from, hostPorts: host_ports });
}

function defined<T extends Record<string, unknown>>(values: T): Partial<T> {
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined)) as Partial<T>;
}
