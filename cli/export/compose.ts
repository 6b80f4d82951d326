// An app as a compose file: what any Docker can run of it, and in words what it cannot. Pure.
import { stringify } from "yaml";
import type { App } from "../../contracts/api.ts";
import type { BundleHash, Probe, Release, ReleaseSpec } from "../../contracts/release.ts";

export interface ComposeApp {
  readonly compose: string;
  /** Names alone: values are never told. */
  readonly environment: string;
  /** null: a bundle, which is no image. */
  readonly image: string | null;
  /** Of an app from a folder: how its image is made, and what of. */
  readonly build: { readonly dockerfile: string; readonly hash: BundleHash; readonly archive: string } | null;
}

/** As Berth's own base image has it: this line of Node. */
const NODE_IMAGE = "node:24-slim";

export function composeOf(app: App, release: Release): ComposeApp {
  const { spec, digest, envNames } = release;
  const { source } = spec;
  const image = source.kind === "image" ? pinned(source.reference, digest) : null;
  const build = source.kind === "bundle" ? buildOf(app, source.hash) : null;
  const service = {
    ...(image === null
      ? { build: { context: ".", dockerfile: `${app.name}.Dockerfile` }, image: `${app.name}:v${release.version}` }
      : { image }),
    ...processOf(spec),
    environment: {
      PORT: String(spec.port),
      ...{ BERTH_APP: app.name, BERTH_RELEASE: release.id, BERTH_VERSION: String(release.version) },
    },
    ...(envNames.length > 0 ? { env_file: `${app.name}.env` } : {}),
    ports: [`127.0.0.1::${spec.port}`, ...spec.placement.hostPorts.map((port) => `${port}:${port}`)],
    ...confinementOf(spec, app.replicas),
    restart: "unless-stopped",
  };
  const { hostname } = new URL(app.url);
  const said = [
    `${app.name}, release v${release.version} (${release.id})`,
    `hostnames: ${[...new Set([hostname, ...app.hostnames])].join(", ")}`,
    `ready when: ${probeText(spec.probes.readiness, spec.port)}`,
    `start: docker compose -f ${app.name}.compose.yaml up -d`,
    `visitors: lead your proxy to the ports that this prints: docker compose -f ${app.name}.compose.yaml ps`,
    ...(envNames.length > 0 ? [`first: fill in ${app.name}.env`] : []),
  ];
  const head = said.map((line) => `# ${line}\n`).join("");
  return {
    compose: head + stringify({ services: { [app.name]: unexpanded(service) } }),
    environment: envNames
      .toSorted()
      .map((name) => `${name}=\n`)
      .join(""),
    image,
    build,
  };
}

/** An archive that is added to an image is unpacked there. */
function buildOf({ name }: App, hash: BundleHash): NonNullable<ComposeApp["build"]> {
  const archive = `${name}.tar.gz`;
  const dockerfile = [
    `# ${hash}`,
    `FROM ${NODE_IMAGE}`,
    "WORKDIR /app",
    `ADD ${archive} /app/`,
    'CMD ["node", "."]',
    "",
  ];
  return { dockerfile: dockerfile.join("\n"), hash, archive };
}

/** As a node starts it: argv as it is, with neither the image's entrypoint nor a shell before it. */
function processOf({ command, stopGraceMs }: ReleaseSpec): object {
  return {
    ...(command === undefined ? {} : { entrypoint: command, command: [] }),
    stop_grace_period: `${stopGraceMs}ms`,
    healthcheck: { disable: true },
  };
}

/** What it may use, and what it may not do: as on a node. */
function confinementOf({ resources, readOnlyRoot, placement }: ReleaseSpec, replicas: number): object {
  return {
    ...(readOnlyRoot ? { read_only: true, tmpfs: ["/tmp:rw,nosuid,nodev,size=64m,mode=1777"] } : {}),
    cap_drop: ["ALL"],
    security_opt: ["no-new-privileges:true"],
    ulimits: { nofile: 16_384 },
    cpus: resources.cpuMilli / 1_000,
    // Together as on a node: no swap beyond the memory.
    ...{ mem_limit: resources.memoryBytes, memswap_limit: resources.memoryBytes, pids_limit: resources.pids },
    deploy: { replicas: placement.singleton ? 1 : replicas },
  };
}

/** In a compose file `$` begins a variable, and two of them are one. */
function unexpanded(value: unknown): unknown {
  if (typeof value === "string") return value.replaceAll("$", "$$$$");
  if (Array.isArray(value)) return value.map(unexpanded);
  if (value === null || typeof value !== "object") return value;
  return Object.fromEntries(Object.entries(value).map(([name, inner]) => [name, unexpanded(inner)]));
}

function pinned(reference: string, digest: string | null): string {
  return digest === null || reference.includes("@") ? reference : `${reference}@${digest}`;
}

function probeText(probe: Probe, port: number): string {
  return probe.kind === "http" ? `GET ${probe.path} on ${port} is answered well` : `something listens on ${port}`;
}
