// The Workers' configuration for Cloudflare: what the two wrangler.toml files say, with this platform's names, ids and variables.
import { readFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { parse } from "smol-toml";
import { z } from "zod";
import { PROJECT } from "./build.ts";
import { WORKER_TOKEN } from "./plan.ts";
import type { Wanted, WorkerRole } from "./wanted.ts";
import { SETUP_VARIABLE, type DeployedWorker, type SetupNote, type World } from "./world.ts";

const TOML: Readonly<Record<WorkerRole, string>> = {
  control: join(PROJECT, "wrangler.toml"),
  edge: join(PROJECT, "workers/edge/wrangler.toml"),
};
const Toml = z.looseObject({
  main: z.string(),
  durable_objects: z.object({ bindings: z.array(z.looseObject({ name: z.string() })) }).optional(),
  kv_namespaces: z.array(z.object({ binding: z.string() })).default([]),
  r2_buckets: z.array(z.object({ binding: z.string() })).optional(),
});
/** The paid plan's own default: it limits nothing there, and the Free plan refuses an upload that names any. */
const LIMITS = { cpu_ms: 30_000 };
const DEFAULT_REGION = "main";
/** What an operator may have set by hand since, and keeps. */
const KEPT_VARIABLES = ["DEFAULT_REGION", "DOMAIN_TARGET", "RESERVED_DOMAINS", "OUTBOUND_ALLOW"];

export interface ConfigInput {
  readonly wanted: Wanted;
  readonly namespaceId: string;
  readonly note: SetupNote;
  readonly deployed: DeployedWorker | null;
  readonly servesCustomDomains: boolean;
  /** Given now, or had already. */
  readonly hasWorkerToken: boolean;
}

/** What the Workers' variables are made of, beside names: another one is another build. */
export function settingsOf(
  { domain, apiHost, region, zone }: Wanted,
  { control, fallback }: World,
  hasWorkerToken: boolean,
) {
  return {
    domain,
    apiHost,
    zone: zone.id,
    region: region ?? control?.vars.DEFAULT_REGION ?? DEFAULT_REGION,
    servesCustomDomains: fallback.kind !== "unavailable",
    hasWorkerToken: hasWorkerToken || control?.secrets.includes(WORKER_TOKEN) === true,
  };
}

/** As `wrangler deploy -c` reads it, in JSON. Routes are not in it: the set-up makes them itself, after both Workers. */
export function workerConfig(role: WorkerRole, input: ConfigInput): Record<string, unknown> {
  const toml = Toml.parse(parse(readFileSync(TOML[role], "utf8")));
  const { wanted, namespaceId } = input;
  const objects = toml.durable_objects?.bindings.map((one) =>
    one.script_name === undefined ? one : { ...one, script_name: wanted.workers.control },
  );
  return {
    ...toml,
    name: wanted.workers[role],
    main: resolve(dirname(TOML[role]), toml.main),
    account_id: wanted.zone.accountId,
    workers_dev: false,
    preview_urls: false,
    keep_vars: true,
    limits: LIMITS,
    durable_objects: { bindings: objects ?? [] },
    kv_namespaces: toml.kv_namespaces.map(({ binding }) => ({ binding, id: namespaceId })),
    ...(toml.r2_buckets
      ? { r2_buckets: toml.r2_buckets.map(({ binding }) => ({ binding, bucket_name: wanted.bucketName })) }
      : {}),
    vars: role === "control" ? controlVars(input) : { BASE_DOMAIN: wanted.domain, ...noteVar(input) },
  };
}

function controlVars({
  wanted,
  note,
  deployed,
  servesCustomDomains,
  hasWorkerToken,
}: ConfigInput): Record<string, string> {
  const { domain, apiHost, domainsHost, nodesZone, region, zone } = wanted;
  const kept = KEPT_VARIABLES.flatMap((name) => (deployed?.vars[name] ? [[name, deployed.vars[name]]] : []));
  return {
    BASE_DOMAIN: domain,
    EDGE_ORIGIN: `https://${domain}`,
    CONTROL_ORIGIN: `https://${apiHost}`,
    DEFAULT_REGION,
    ...(servesCustomDomains ? { DOMAIN_TARGET: domainsHost } : {}),
    RESERVED_DOMAINS: [apiHost, domainsHost, nodesZone].join(","),
    ...(hasWorkerToken ? { CLOUDFLARE_ZONE_ID: zone.id, NODES_ZONE: nodesZone } : {}),
    ...(Object.fromEntries(kept) as Record<string, string>),
    ...(region === undefined ? {} : { DEFAULT_REGION: region }),
    ...noteVar({ note }),
  };
}

const noteVar = ({ note }: Pick<ConfigInput, "note">) => ({ [SETUP_VARIABLE]: JSON.stringify(note) });
