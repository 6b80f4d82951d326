// From what is wanted and what there is, the steps that are missing, in the order in which they must be made. Pure.
import { isCoveredBy, NO_SERVER, recordComment, type Wanted, type WorkerRole } from "./wanted.ts";
import { noteOf, type DnsRecord, type World } from "./world.ts";

export type Step =
  | { readonly kind: "migrate"; readonly count: number }
  | { readonly kind: "create_namespace"; readonly title: string }
  | { readonly kind: "create_bucket"; readonly name: string }
  | { readonly kind: "order_certificate"; readonly hosts: readonly string[] }
  | { readonly kind: "create_record"; readonly name: string; readonly why: string }
  | { readonly kind: "mend_record"; readonly id: string; readonly name: string; readonly was: string }
  | {
      readonly kind: "deploy";
      readonly role: WorkerRole;
      readonly worker: string;
      /** Secrets that it does not have yet. Those that it has are never set again. */
      readonly secrets: readonly string[];
      readonly because: string;
    }
  | { readonly kind: "create_route"; readonly pattern: string; readonly worker: string | null; readonly why: string }
  | { readonly kind: "set_fallback"; readonly origin: string };

export interface Plan {
  readonly steps: readonly Step[];
  /** Patterns of routes without a Worker that are the set-up's own, made now or before. */
  readonly bypass: readonly string[];
  /** What the operator should know, and what stops nothing. */
  readonly notes: readonly string[];
}

/** What the set-up has at hand beside Cloudflare. */
export interface AtHand {
  /** Of the sources that would be deployed. */
  readonly build: string;
  /** Whether an interrupted run on this machine kept the tickets' key for the second Worker. */
  readonly hasTicketKey: boolean;
  /** Whether a token for the running control Worker was given. */
  readonly hasWorkerToken: boolean;
  /** Whether the first operator is to be made now, and the token for it is not known on this machine. */
  readonly needsSetupToken: boolean;
}

export const TICKET_KEY = "TICKET_SIGNING_KEY";
/** Opens one door, once: to the first operator. The one secret that may be set anew. */
export const SETUP_TOKEN = "SETUP_TOKEN";
export const WORKER_TOKEN = "CLOUDFLARE_API_TOKEN";
export const DATABASE_SECRETS = ["DATABASE_URL_APP", "DATABASE_URL_AUTH"] as const;
const SECRETS_KEYS = "SECRETS_KEYS";
/** What rotations added; the first one may have been taken away since. */
export const ROTATED_KEYS = `${SECRETS_KEYS}_`;
const CONTROL_SECRETS = [
  ...DATABASE_SECRETS,
  "CREDENTIAL_SIGNING_KEY",
  TICKET_KEY,
  SECRETS_KEYS,
  "BETTER_AUTH_SECRET",
  SETUP_TOKEN,
];
const EVERYTHING = "*/*";

export function planSteps(wanted: Wanted, world: World, atHand: AtHand): Plan {
  const { steps: routes, bypass } = planRoutes(wanted, world);
  return {
    steps: [
      ...(world.pendingMigrations > 0 ? [{ kind: "migrate", count: world.pendingMigrations } as const] : []),
      ...(world.namespaceId === null ? [{ kind: "create_namespace", title: wanted.namespaceTitle } as const] : []),
      ...(world.hasBucket ? [] : [{ kind: "create_bucket", name: wanted.bucketName } as const]),
      ...planCertificate(wanted, world),
      ...planRecords(wanted, world),
      ...planWorkers(wanted, world, atHand, bypass),
      ...routes,
      ...planFallback(wanted, world),
    ],
    bypass,
    notes: notesOf(wanted, world, atHand),
  };
}

function planCertificate({ certificateHosts }: Wanted, { packs }: World): Step[] {
  if (certificateHosts === null) return [];
  const isHeld = (host: string) => packs.some(({ hosts, status }) => status !== "deleted" && isCoveredBy(host, hosts));
  return certificateHosts.every(isHeld) ? [] : [{ kind: "order_certificate", hosts: certificateHosts }];
}

function planRecords({ name, records }: Wanted, world: World): Step[] {
  return records.flatMap(({ name: host, why }): Step[] => {
    const mine = world.records.find((one) => one.name === host && one.comment === recordComment(name));
    if (mine === undefined) return [{ kind: "create_record", name: host, why }];
    const isRight = mine.type === NO_SERVER.type && mine.content === NO_SERVER.content && mine.proxied;
    return isRight ? [] : [{ kind: "mend_record", id: mine.id, name: host, was: `${mine.type} ${mine.content}` }];
  });
}

function planWorkers({ workers }: Wanted, world: World, atHand: AtHand, bypass: readonly string[]): Step[] {
  const missing = (have: readonly string[] | undefined, wanted: readonly string[]) =>
    wanted.filter((one) => have?.includes(one) !== true);
  const optional = atHand.hasWorkerToken ? [WORKER_TOKEN] : [];
  const has = world.control?.secrets.map((one) => (one.startsWith(ROTATED_KEYS) ? SECRETS_KEYS : one));
  const ofControl = missing(has, [...CONTROL_SECRETS, ...optional]);
  const ofEdge = missing(world.edge?.secrets, [TICKET_KEY]);
  // The first Worker got the key, the second did not, and the key is lost with the machine that made it. No ticket can have been
  // signed by it, because that is what the second Worker does: a new one takes its place on both.
  const isKeyLost = ofEdge.length > 0 && !ofControl.includes(TICKET_KEY) && !atHand.hasTicketKey;
  // Neither can be read back, and one password change gives both.
  const urls = ofControl.some((one) => (DATABASE_SECRETS as readonly string[]).includes(one)) ? DATABASE_SECRETS : [];
  const renewed = [...(isKeyLost ? [TICKET_KEY] : []), ...(atHand.needsSetupToken ? [SETUP_TOKEN] : [])];
  const secrets = [...new Set([...urls, ...ofControl, ...renewed])];
  const note = noteOf(world.control);
  const isNoted =
    note?.build === atHand.build && String(note.bypass) === String(bypass) && world.control?.hasSchedule === true;
  const control = becauseOf(world.control !== null, isNoted, secrets);
  const edge = becauseOf(world.edge !== null, noteOf(world.edge)?.build === atHand.build, ofEdge);
  return [
    ...(control === null ? [] : [deployStep("control", workers.control, secrets, control)]),
    ...(edge === null ? [] : [deployStep("edge", workers.edge, ofEdge, edge)]),
  ];
}

const deployStep = (role: WorkerRole, worker: string, secrets: readonly string[], because: string): Step => ({
  kind: "deploy",
  role,
  worker,
  secrets,
  because,
});

function becauseOf(exists: boolean, isPresent: boolean, secrets: readonly string[]): string | null {
  if (!exists) return "it is not there";
  if (secrets.length > 0) return `it lacks ${secrets.join(", ")}`;
  return isPresent ? null : "another version runs, or its deploy was interrupted";
}

/** Whatever is proxied in the zone and not the platform's keeps its way: before the route for everything is made. */
function planRoutes(wanted: Wanted, world: World): { steps: Step[]; bypass: string[] } {
  const { domain, apiHost, workers, name } = wanted;
  const routed = new Set(world.routes.map(({ pattern }) => pattern));
  const servesCustom = world.fallback.kind !== "unavailable";
  const others = servesCustom ? world.records.filter((one) => one.proxied && !isOurs(one, wanted)) : [];
  const patterns = [...new Set(others.map((one) => `${one.name}/*`))].sort();
  const before = noteOf(world.control)?.bypass ?? [];
  const bypass = patterns.filter((pattern) => before.includes(pattern) || !routed.has(pattern));
  const all: Step[] = [
    ...bypass.map((pattern): Step => ({ kind: "create_route", pattern, worker: null, why: "stays as it is" })),
    { kind: "create_route", pattern: `${apiHost}/*`, worker: workers.control, why: "the API" },
    { kind: "create_route", pattern: `*.${domain}/*`, worker: workers.edge, why: "apps" },
    ...(servesCustom
      ? [{ kind: "create_route", pattern: EVERYTHING, worker: workers.edge, why: `custom domains of ${name}` } as const]
      : []),
  ];
  return { steps: all.filter((step) => step.kind === "create_route" && !routed.has(step.pattern)), bypass };
}

const isOurs = ({ name: host, comment }: DnsRecord, { name, domain, nodesZone, records }: Wanted): boolean =>
  comment === recordComment(name) ||
  records.some((one) => one.name === host) ||
  host.endsWith(`.${nodesZone}`) ||
  (host.endsWith(`.${domain}`) && host.startsWith("*."));

function planFallback({ domainsHost }: Wanted, { fallback }: World): Step[] {
  return fallback.kind === "none" ? [{ kind: "set_fallback", origin: domainsHost }] : [];
}

function notesOf(
  { zone, domainsHost, nodesZone }: Wanted,
  { fallback, control }: World,
  { hasWorkerToken }: AtHand,
): string[] {
  const notes: string[] = [];
  if (fallback.kind === "unavailable")
    notes.push(
      `Custom domains are left out: Cloudflare for SaaS is not switched on for ${zone.name} (dashboard, SSL/TLS, Custom Hostnames). Run this again once it is.`,
    );
  if (fallback.kind === "origin" && fallback.origin !== domainsHost)
    notes.push(`The zone's fallback origin for custom hostnames stays ${fallback.origin}.`);
  if (!hasWorkerToken && control?.secrets.includes(WORKER_TOKEN) !== true)
    notes.push(
      `Without CLOUDFLARE_WORKER_TOKEN (Zone › DNS: Edit, Zone › SSL and Certificates: Edit, for ${zone.name} alone) the control plane makes no names under ${nodesZone} and asks for no certificates of custom domains.`,
    );
  return notes;
}
