// The configuration of the one workerd: the three Workers with their bindings, the sockets, and the folder of the objects. Pure.
// Secrets are not in it: workerd takes them from its environment.
import { Embedded, renderValue, type Value } from "./capnp.ts";
import type { LocalWorker } from "./wrangler-config.ts";

/** Where workerd listens, such as 127.0.0.1:8787. */
export interface Sockets {
  readonly control: string;
  readonly edge: string;
  /** Only for this machine: the minute clock calls here. */
  readonly clock: string;
}

export interface ConfigurationInput {
  readonly sockets: Sockets;
  readonly control: LocalWorker;
  readonly edge: LocalWorker;
  readonly vars: {
    readonly control: Readonly<Record<string, string>>;
    readonly edge: Readonly<Record<string, string>>;
    readonly stores: Readonly<Record<string, string>>;
  };
  /** Names of variables in workerd's environment. */
  readonly secrets: {
    readonly control: readonly string[];
    readonly edge: readonly string[];
    readonly stores: readonly string[];
  };
}

/** The service that holds the objects' files; where it is, the command line says (--directory-path). */
export const OBJECTS_DIRECTORY = "objects";
/** TLS ends at a proxy in front; by this the Workers know whether the visitor came by it. */
const BEHIND_PROXY = { forwardedProtoHeader: "X-Forwarded-Proto" };
const TABLE_CLASS = "RouteTable";

export function workerdConfiguration({ sockets, control, edge, vars, secrets }: ConfigurationInput): string {
  const storesBindings = [
    { name: "TABLE", durableObjectNamespace: TABLE_CLASS },
    ...texts(vars.stores),
    ...fromEnvironment(secrets.stores),
  ];
  const config: Value = {
    services: [
      { name: "control", worker: worker(control, "control.mjs", bindingsOf(control, vars.control, secrets.control)) },
      { name: "edge", worker: worker(edge, "edge.mjs", bindingsOf(edge, vars.edge, secrets.edge)) },
      { name: "stores", worker: worker({ ...control, ...STORES }, "stores.mjs", storesBindings) },
      { name: OBJECTS_DIRECTORY, disk: { writable: true } },
      // Servers stand in private networks, and the database's adapter on this machine.
      { name: "internet", network: { allow: ["public", "private"], tlsOptions: { trustBrowserCas: true } } },
    ],
    sockets: [
      { name: "control", address: sockets.control, http: BEHIND_PROXY, service: "control" },
      { name: "edge", address: sockets.edge, http: BEHIND_PROXY, service: "edge" },
      { name: "clock", address: sockets.clock, http: {}, service: { name: "control", entrypoint: "Clock" } },
    ],
  };
  return [
    "# Written by `berth setup --self-hosted`, which writes it anew: change its options, not this file.",
    'using Workerd = import "/workerd/workerd.capnp";',
    `const config :Workerd.Config = ${renderValue(config)};`,
    "",
  ].join("\n");
}

/** Beside the control Worker's own dates and flags. */
const STORES = { name: "berth-stores", objectClasses: [TABLE_CLASS] } as const;

function worker(
  { name, objectClasses, options }: Pick<LocalWorker, "name" | "objectClasses" | "options">,
  file: string,
  bindings: Value[],
): Value {
  return {
    modules: [{ name: file, esModule: new Embedded(file) }],
    compatibilityDate: options.compatibilityDate,
    compatibilityFlags: options.compatibilityFlags,
    bindings,
    ...(objectClasses.length === 0
      ? {}
      : {
          // The key names the objects' folder: it must stay as it is for as long as there is data.
          durableObjectNamespaces: objectClasses.map((className) => ({
            className,
            uniqueKey: `${name}-${className}`,
            enableSql: true,
          })),
          durableObjectStorage: { localDisk: OBJECTS_DIRECTORY },
        }),
  };
}

function bindingsOf(
  { options }: LocalWorker,
  vars: Readonly<Record<string, string>>,
  secrets: readonly string[],
): Value[] {
  const { durableObjects, kvNamespaces, r2Buckets } = options;
  const objects = Object.entries(durableObjects).map(([name, { className, scriptName }]) => ({
    name,
    durableObjectNamespace: scriptName === undefined ? className : { className, serviceName: "control" },
  }));
  const ports = [
    ...Object.keys(kvNamespaces).map((name) => ({ name, service: { name: "stores", entrypoint: "Routes" } })),
    ...Object.keys(r2Buckets).map((name) => ({ name, service: { name: "stores", entrypoint: "Bundles" } })),
  ];
  return [...objects, ...ports, ...texts(vars), ...fromEnvironment(secrets)];
}

const texts = (vars: Readonly<Record<string, string>>): Value[] =>
  Object.entries(vars).map(([name, text]) => ({ name, text }));

const fromEnvironment = (names: readonly string[]): Value[] => names.map((name) => ({ name, fromEnvironment: name }));
