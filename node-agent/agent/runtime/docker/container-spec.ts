// What a container is created with. How it is confined is in profile.ts.
import type { ContainerCreateOptions } from "dockerode";
import type { DesiredInstance } from "../../../../contracts/desired.ts";
import type { NodeId } from "../../../../contracts/ids.ts";
import type { Prepared } from "../runtime.ts";
import { containerName, labelsOf } from "./labels.ts";
import { confinement, type Confining } from "./profile.ts";

/** Where a bundle's files are, and the command of a bundle that names none: its package.json's main, or index.js. */
export const BUNDLE_FOLDER = "/app";
const BUNDLE_COMMAND = ["node", "."];

export interface SpecInput {
  readonly node: NodeId;
  readonly desired: DesiredInstance;
  readonly prepared: Prepared;
  /** The id of the team's network. */
  readonly network: string;
  /** Within that network; null where the Engine picks one. */
  readonly address: string | null;
  /** The base image for bundles; unused for images. */
  readonly bundleImage: string;
  readonly environment: Readonly<Record<string, string>>;
  readonly confining: Confining;
  /** Containers whose volumes this one has, too, and how (`<id>:ro`). */
  readonly volumesFrom: readonly string[];
}

export function containerSpec({
  node,
  desired,
  prepared,
  network,
  address,
  bundleImage,
  environment,
  confining,
  volumesFrom,
}: SpecInput): ContainerCreateOptions {
  const { hostPorts } = desired;
  const ports = hostPorts.map((port) => `${port}/tcp`);
  const bundle = prepared.kind === "bundle";
  const command = desired.command ?? (bundle ? BUNDLE_COMMAND : undefined);
  return {
    name: containerName(desired),
    Image: prepared.kind === "image" ? prepared.image : bundleImage,
    Labels: labelsOf(node, desired, prepared.digest),
    Env: Object.entries(environment).map(([name, value]) => `${name}=${value}`),
    Hostname: `${desired.appName}-${desired.ordinal}`.slice(0, 63),
    // argv as it is: neither the image's entrypoint nor a shell stands before it.
    ...(command === undefined ? {} : { Entrypoint: [...command], Cmd: [] }),
    ...(bundle ? { WorkingDir: BUNDLE_FOLDER } : {}),
    Healthcheck: { Test: ["NONE"] },
    ...(address === null
      ? {}
      : { NetworkingConfig: { EndpointsConfig: { [network]: { IPAMConfig: { IPv4Address: address } } } } }),
    ...(ports.length === 0 ? {} : { ExposedPorts: Object.fromEntries(ports.map((port) => [port, {}])) }),
    HostConfig: {
      NetworkMode: network,
      // Only what the release asked for by number: everything else is reached through the gateway.
      ...(ports.length === 0 ? {} : { PortBindings: bindings(desired.hostPorts) }),
      ...(volumesFrom.length === 0 ? {} : { VolumesFrom: [...volumesFrom] }),
      RestartPolicy: { Name: "no" },
      ...confinement(desired, confining),
    },
  };
}

/** Each to the same port of the container, on every address of the node. */
function bindings(hostPorts: readonly number[]): Record<string, { HostPort: string }[]> {
  return Object.fromEntries(hostPorts.map((port) => [`${port}/tcp`, [{ HostPort: String(port) }]]));
}
