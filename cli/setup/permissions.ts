// The permissions that a token for the set-up needs, by the names that the dashboard gives them, and which call needs which.

export interface Permission {
  readonly scope: "Account" | "Zone";
  readonly name: string;
  readonly level: "Read" | "Edit";
  /** What it is needed for, in words that follow "to". */
  readonly why: string;
}

/** In the order in which the dashboard's form is filled in. */
export const PERMISSIONS = {
  scripts: { scope: "Account", name: "Workers Scripts", level: "Edit", why: "deploy the two Workers" },
  kv: { scope: "Account", name: "Workers KV Storage", level: "Edit", why: "make the namespace of routes" },
  r2: { scope: "Account", name: "Workers R2 Storage", level: "Edit", why: "make the bucket of bundles" },
  billing: { scope: "Account", name: "Billing", level: "Read", why: "see which Workers plan the account has" },
  zone: { scope: "Zone", name: "Zone", level: "Read", why: "find the zone of the domain" },
  dns: { scope: "Zone", name: "DNS", level: "Edit", why: "make the DNS records" },
  routes: { scope: "Zone", name: "Workers Routes", level: "Edit", why: "lead the hostnames to the Workers" },
  certificates: {
    scope: "Zone",
    name: "SSL and Certificates",
    level: "Edit",
    why: "order the certificate and set the fallback origin of custom hostnames",
  },
} as const satisfies Record<string, Permission>;

const OF_PATH: readonly (readonly [RegExp, Permission])[] = [
  [/^\/accounts\/[^/]+\/workers\//, PERMISSIONS.scripts],
  [/^\/accounts\/[^/]+\/storage\/kv\//, PERMISSIONS.kv],
  [/^\/accounts\/[^/]+\/r2\//, PERMISSIONS.r2],
  [/^\/accounts\/[^/]+\/subscriptions/, PERMISSIONS.billing],
  [/^\/zones\/[^/]+\/dns_records/, PERMISSIONS.dns],
  [/^\/zones\/[^/]+\/workers\/routes/, PERMISSIONS.routes],
  [/^\/zones\/[^/]+\/(ssl|custom_hostnames)/, PERMISSIONS.certificates],
  [/^\/zones/, PERMISSIONS.zone],
];

/** The permission that a call needs; null: any valid token may make it. */
export function permissionFor(_method: string, path: string): Permission | null {
  return OF_PATH.find(([pattern]) => pattern.test(path))?.[1] ?? null;
}

export const permissionText = ({ scope, name, level, why }: Permission): string =>
  `${scope} › ${name}: ${level} (to ${why})`;

/** An id that nobody has: what may delete is told that there is no such thing, what may not is denied. */
const NOBODY = "0".repeat(32);

export interface Probe {
  readonly permission: Permission;
  readonly method: "GET" | "DELETE";
  readonly path: string;
}

/** Calls that change nothing and tell whether the token may read. */
export function readProbes(accountId: string, zoneId: string): Probe[] {
  const [account, zone] = [`/accounts/${accountId}`, `/zones/${zoneId}`];
  return [
    { permission: PERMISSIONS.scripts, method: "GET", path: `${account}/workers/scripts` },
    { permission: PERMISSIONS.kv, method: "GET", path: `${account}/storage/kv/namespaces` },
    { permission: PERMISSIONS.r2, method: "GET", path: `${account}/r2/buckets` },
    { permission: PERMISSIONS.billing, method: "GET", path: `${account}/subscriptions` },
    { permission: PERMISSIONS.dns, method: "GET", path: `${zone}/dns_records` },
    { permission: PERMISSIONS.routes, method: "GET", path: `${zone}/workers/routes` },
    { permission: PERMISSIONS.certificates, method: "GET", path: `${zone}/ssl/certificate_packs` },
  ];
}

/** The same for changing: each asks to delete what is not there. Not asked by --plan, which is to read alone. */
export function editProbes(accountId: string, zoneId: string): Probe[] {
  const [account, zone] = [`/accounts/${accountId}`, `/zones/${zoneId}`];
  const ask = (permission: Permission, path: string): Probe => ({ permission, method: "DELETE", path });
  return [
    ask(PERMISSIONS.scripts, `${account}/workers/scripts/berth-probe-${NOBODY}`),
    ask(PERMISSIONS.kv, `${account}/storage/kv/namespaces/${NOBODY}`),
    ask(PERMISSIONS.r2, `${account}/r2/buckets/berth-probe-${NOBODY}`),
    ask(PERMISSIONS.dns, `${zone}/dns_records/${NOBODY}`),
    ask(PERMISSIONS.routes, `${zone}/workers/routes/${NOBODY}`),
    ask(PERMISSIONS.certificates, `${zone}/ssl/certificate_packs/${NOBODY}`),
  ];
}
