// What the stand-in for Cloudflare's API holds: one or more accounts with zones, Workers and stores, and the tokens that may touch them.

/** As the dashboard names them, less "Read"/"Edit": Edit includes Read. */
export type Permission =
  | "Billing"
  | "Workers Scripts"
  | "Workers KV Storage"
  | "Workers R2 Storage"
  | "Zone"
  | "DNS"
  | "Workers Routes"
  | "SSL and Certificates";

export interface Token {
  readonly id: string;
  /** Account ids that the token's account permissions are for. */
  readonly accounts: readonly string[];
  /** Zone ids that its zone permissions are for. */
  readonly zones: readonly string[];
  permissions: Partial<Record<Permission, "Read" | "Edit">>;
  status: "active" | "disabled" | "expired";
}

export interface DnsRecord {
  readonly id: string;
  name: string;
  type: string;
  content: string;
  proxied: boolean;
  ttl: number;
  comment: string | null;
}

export interface CertificatePack {
  readonly id: string;
  readonly hosts: readonly string[];
  readonly type: "advanced" | "universal";
  status: string;
}

export interface Zone {
  readonly id: string;
  readonly name: string;
  readonly accountId: string;
  status: "active" | "pending";
  records: DnsRecord[];
  routes: { readonly id: string; pattern: string; script: string | null }[];
  packs: CertificatePack[];
  fallbackOrigin: string | null;
  /** Whether Advanced Certificate Manager, and Cloudflare for SaaS, were bought or switched on for it. */
  hasAdvancedCertificates: boolean;
  hasCustomHostnames: boolean;
}

export interface Binding {
  readonly type: string;
  readonly name: string;
  readonly [key: string]: unknown;
}

export interface Script {
  readonly tag: string;
  bindings: Binding[];
  migrationTag: string | null;
  classes: string[];
  crons: string[];
  subdomain: boolean;
  uploads: number;
  /** The values of its secrets: Cloudflare gives them to nobody, the tests look at them here. */
  readonly secrets: Map<string, string>;
  versions: { id: string; bindings: Binding[] }[];
}

export interface Account {
  readonly id: string;
  readonly name: string;
  /** Rate plans that it pays for, such as `workers_paid`. */
  ratePlans: string[];
  readonly namespaces: { readonly id: string; readonly title: string }[];
  readonly buckets: Map<string, Set<string>>;
  readonly scripts: Map<string, Script>;
}

export interface Cloud {
  readonly accounts: Account[];
  readonly zones: Zone[];
  readonly tokens: Map<string, Token>;
  /** Ids are counted: the same calls give the same ids. */
  nextId: number;
}

/** 32 hexadecimal digits, as Cloudflare's are. */
export function newId(cloud: Cloud): string {
  cloud.nextId += 1;
  return cloud.nextId.toString(16).padStart(32, "0");
}

export function addAccount(cloud: Cloud, name: string, ratePlans: string[] = ["workers_paid"]): Account {
  const account = { id: newId(cloud), name, ratePlans, namespaces: [], buckets: new Map(), scripts: new Map() };
  cloud.accounts.push(account);
  return account;
}

export function addZone(cloud: Cloud, account: Account, name: string): Zone {
  const zone: Zone = {
    id: newId(cloud),
    name,
    accountId: account.id,
    status: "active",
    records: [],
    routes: [],
    packs: [{ id: newId(cloud), hosts: [name, `*.${name}`], type: "universal", status: "active" }],
    fallbackOrigin: null,
    hasAdvancedCertificates: true,
    hasCustomHostnames: true,
  };
  cloud.zones.push(zone);
  return zone;
}

export const emptyCloud = (): Cloud => ({ accounts: [], zones: [], tokens: new Map(), nextId: 0xb0 });
