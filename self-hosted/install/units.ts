// The systemd units of a self-hosted platform: workerd with the sockets that outlive it, and the companion beside it. Pure.
import { FILES, portsOf, type Settings } from "./layout.ts";

export interface UnitPlaces {
  /** The platform's folder, absolute. */
  readonly folder: string;
  readonly nodeBinary: string;
}

const WRITTEN = "# Written by `berth setup --self-hosted`, which writes it anew: change it with `systemctl edit`.";

/** A user of its own for each, no file of the machine to write but the objects', no way to more rights. V8 needs writable code. */
const HARDENING = [
  "DynamicUser=yes",
  "NoNewPrivileges=yes",
  "ProtectSystem=strict",
  "ProtectHome=read-only",
  "PrivateTmp=yes",
  "PrivateDevices=yes",
  "ProtectClock=yes",
  "ProtectControlGroups=yes",
  "ProtectKernelLogs=yes",
  "ProtectKernelModules=yes",
  "ProtectKernelTunables=yes",
  "ProtectProc=invisible",
  "RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX AF_NETLINK",
  "RestrictNamespaces=yes",
  "RestrictRealtime=yes",
  "RestrictSUIDSGID=yes",
  "LockPersonality=yes",
  "CapabilityBoundingSet=",
  "SystemCallArchitectures=native",
  "UMask=0077",
  "Restart=always",
  "RestartSec=1",
  "LimitNOFILE=65536",
];

/** In a directory of /var/lib that systemd makes and owns: `StateDirectory` and %S. */
export const STATE_DIRECTORY = "berth/objects";

/** Agents' sockets and polls would hold workerd back for as long as they like, and new visitors wait meanwhile. */
const DRAIN_SECONDS = 3;
/** The names that workerd's configuration gives its sockets, in the order of `portsOf`. systemd passes them from the third file on. */
const SOCKETS = ["control", "edge", "clock"] as const;
const FIRST_PASSED = 3;

/** systemd holds the ports: while workerd restarts, who comes waits instead of being refused. */
export function platformSocket(settings: Settings): string {
  const ports = portsOf(settings);
  return [
    WRITTEN,
    "[Unit]",
    "Description=Berth: where API, visitors and clock arrive",
    "",
    "[Socket]",
    ...SOCKETS.map((name) => `ListenStream=127.0.0.1:${ports[name]}`),
    "",
    "[Install]",
    "WantedBy=sockets.target",
    "",
  ].join("\n");
}

export function platformUnit({ folder }: UnitPlaces): string {
  return unit({
    description: "Berth: API, objects and edge, on workerd",
    after: ["network-online.target", "berth-companion.service"],
    requires: ["berth-platform.socket"],
    service: [
      `StateDirectory=berth ${STATE_DIRECTORY}`,
      "StateDirectoryMode=0700",
      `EnvironmentFile=${path(folder, FILES.secrets)}`,
      `ExecStart=${path(folder, FILES.workerd)} serve ${path(folder, FILES.configuration)} config --directory-path=objects=%S/${STATE_DIRECTORY} ${passedSockets}`,
      `TimeoutStopSec=${DRAIN_SECONDS}`,
    ],
  });
}

export function companionUnit({ folder, nodeBinary }: UnitPlaces, settings: Settings): string {
  const { clock, adapter } = portsOf(settings);
  const { host, port, tls, authority } = settings.postgres;
  return unit({
    description: "Berth: database adapter and minute clock",
    after: ["network-online.target"],
    service: [
      `Environment=BERTH_ADAPTER_PORT=${adapter}`,
      `Environment=BERTH_POSTGRES_HOST=${host} BERTH_POSTGRES_PORT=${port} BERTH_POSTGRES_TLS=${tls ? "verify" : "off"}`,
      ...(tls && authority !== undefined ? [`Environment=NODE_EXTRA_CA_CERTS=${escaped(authority)}`] : []),
      `Environment=BERTH_CLOCK_URL=http://127.0.0.1:${clock}`,
      `EnvironmentFile=${path(folder, FILES.companionSecrets)}`,
      `ExecStart=${escaped(nodeBinary)} ${path(folder, FILES.companion)}`,
    ],
  });
}

const passedSockets = SOCKETS.map((name, at) => `--socket-fd=${name}=${FIRST_PASSED + at}`).join(" ");

function unit({
  description,
  after,
  requires = [],
  service,
}: {
  readonly description: string;
  readonly after: readonly string[];
  readonly requires?: readonly string[];
  readonly service: readonly string[];
}): string {
  return [
    WRITTEN,
    "[Unit]",
    `Description=${description}`,
    `After=${after.join(" ")}`,
    `Wants=${after.join(" ")}`,
    ...requires.map((name) => `Requires=${name}`),
    // However often it falls, it is started again.
    "StartLimitIntervalSec=0",
    "",
    "[Service]",
    ...service,
    ...HARDENING,
    "",
    "[Install]",
    "WantedBy=multi-user.target",
    "",
  ].join("\n");
}

const path = (folder: string, file: string): string => escaped(`${folder}/${file}`);

/** The set-up refuses folders with other characters; % begins a specifier in a unit. */
const escaped = (text: string): string => text.replaceAll("%", "%%");
