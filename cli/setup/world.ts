// What there is already, read through the API: the set-up knows no other state of what it has made.
import { z } from "zod";
import { CloudflareRefused, type CloudflareApi } from "./cloudflare-api.ts";
import { recordComment, type Wanted } from "./wanted.ts";

const Record_ = z.object({
  id: z.string(),
  name: z.string(),
  type: z.string(),
  content: z.string().default(""),
  proxied: z.boolean().default(false),
  comment: z.string().nullish(),
});
export type DnsRecord = z.infer<typeof Record_>;
const Route = z.object({ id: z.string(), pattern: z.string(), script: z.string().nullish() });
export type Route = z.infer<typeof Route>;
const Pack = z.object({
  id: z.string(),
  hosts: z.array(z.string()).default([]),
  type: z.string(),
  status: z.string().nullish(),
});
export type CertificatePack = z.infer<typeof Pack>;
const Named = z.object({ id: z.string(), title: z.string() });
const Settings = z.object({
  bindings: z.array(z.looseObject({ type: z.string(), name: z.string(), text: z.string().optional() })).default([]),
});

const Schedules = z.object({ schedules: z.array(z.unknown()).nullish() });

export interface DeployedWorker {
  readonly vars: Readonly<Record<string, string>>;
  /** Names alone: nobody can read their values. */
  readonly secrets: readonly string[];
  /** Set after the upload, by a call of its own: an interrupted deploy may lack it. */
  readonly hasSchedule: boolean;
}

/** What the set-up notes on the control Worker: which build runs, and which routes without a Worker it made. */
export const SETUP_VARIABLE = "BERTH_SETUP";
const SetupNote = z.object({ build: z.string(), bypass: z.array(z.string()).default([]) });
export type SetupNote = z.infer<typeof SetupNote>;

export type Fallback =
  | { readonly kind: "origin"; readonly origin: string }
  | { readonly kind: "none" }
  | { readonly kind: "unavailable"; readonly reason: string };

export interface World {
  readonly namespaceId: string | null;
  readonly hasBucket: boolean;
  readonly records: readonly DnsRecord[];
  readonly routes: readonly Route[];
  readonly packs: readonly CertificatePack[];
  readonly fallback: Fallback;
  readonly control: DeployedWorker | null;
  readonly edge: DeployedWorker | null;
  readonly pendingMigrations: number;
}

export async function readWorld(
  api: CloudflareApi,
  { zone, namespaceTitle, bucketName, workers }: Wanted,
  pendingMigrations: number,
): Promise<World> {
  const [ofAccount, ofZone] = [`/accounts/${zone.accountId}`, `/zones/${zone.id}`];
  const [namespaces, bucket, records, routes, packs, fallback, control, edge] = await Promise.all([
    api.list(Named, `${ofAccount}/storage/kv/namespaces`),
    api.find(z.unknown(), `${ofAccount}/r2/buckets/${bucketName}`),
    api.list(Record_, `${ofZone}/dns_records`),
    api.call(z.array(Route), "GET", `${ofZone}/workers/routes`),
    api.list(Pack, `${ofZone}/ssl/certificate_packs?status=all`),
    readFallback(api, ofZone),
    readWorker(api, ofAccount, workers.control),
    readWorker(api, ofAccount, workers.edge),
  ]);
  return {
    namespaceId: namespaces.find(({ title }) => title === namespaceTitle)?.id ?? null,
    hasBucket: bucket !== null,
    records,
    routes,
    packs,
    fallback,
    control,
    edge,
    pendingMigrations,
  };
}

async function readWorker(api: CloudflareApi, ofAccount: string, name: string): Promise<DeployedWorker | null> {
  const path = `${ofAccount}/workers/scripts/${name}`;
  const [found, cron] = await Promise.all([
    api.find(Settings, `${path}/settings`),
    api.find(Schedules, `${path}/schedules`),
  ]);
  if (found === null) return null;
  const texts = found.bindings.filter(({ type }) => type === "plain_text");
  return {
    vars: Object.fromEntries(texts.map(({ name: key, text }) => [key, text ?? ""])),
    secrets: found.bindings.filter(({ type }) => type === "secret_text").map(({ name: key }) => key),
    hasSchedule: (cron?.schedules ?? []).length > 0,
  };
}

/** Cloudflare for SaaS may not be switched on for the zone: then there is no such resource to ask for. */
async function readFallback(api: CloudflareApi, ofZone: string): Promise<Fallback> {
  try {
    const path = `${ofZone}/custom_hostnames/fallback_origin`;
    const found = await api.find(z.object({ origin: z.string().nullish() }), path);
    return found?.origin ? { kind: "origin", origin: found.origin } : { kind: "none" };
  } catch (error) {
    // The permission for it was looked at before: it is the one of the certificates.
    if (error instanceof CloudflareRefused) return { kind: "unavailable", reason: error.message };
    throw error;
  }
}

export function noteOf(worker: DeployedWorker | null): SetupNote | null {
  const text = worker?.vars[SETUP_VARIABLE];
  if (text === undefined) return null;
  try {
    return SetupNote.parse(JSON.parse(text));
  } catch {
    return null;
  }
}

/** The API's hostname of a platform that is there, whichever machine chose it. */
export function apiHostIn({ name, domain, domainsHost, nodesZone }: Wanted, { records }: World): string | undefined {
  const others = [`*.${domain}`, domainsHost];
  return records.find(
    ({ comment, name: host }) =>
      comment === recordComment(name) && !others.includes(host) && !host.endsWith(`.${nodesZone}`),
  )?.name;
}
