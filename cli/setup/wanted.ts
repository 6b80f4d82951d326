// What a platform consists of at Cloudflare, by name: pure, from the domain and what the operator chose.
export interface Zone {
  readonly id: string;
  readonly name: string;
  readonly accountId: string;
  readonly accountName: string;
}

export interface Choices {
  readonly domain: string;
  /** Tells several platforms of one account apart. */
  readonly name: string;
  readonly apiHost: string | undefined;
  readonly region: string | undefined;
}

export type WorkerRole = "control" | "edge";

export interface WantedRecord {
  readonly name: string;
  readonly why: string;
}

export interface Wanted {
  readonly name: string;
  readonly domain: string;
  readonly zone: Zone;
  readonly apiHost: string;
  /** What customers' own hostnames are to be a CNAME of. */
  readonly domainsHost: string;
  readonly nodesZone: string;
  readonly region: string | undefined;
  readonly namespaceTitle: string;
  readonly bucketName: string;
  readonly workers: Readonly<Record<WorkerRole, string>>;
  readonly records: readonly WantedRecord[];
  /** The zone's own certificate covers its name and one level below it; null: that is enough. */
  readonly certificateHosts: readonly string[] | null;
}

/** No server is behind these names: a Worker answers. RFC 6666's discard prefix is what Cloudflare recommends. */
export const NO_SERVER = { type: "AAAA", content: "100::", proxied: true, ttl: 1 } as const;

/** By it the set-up knows its own records again, on any machine. */
export const recordComment = (name: string): string => `berth ${name}`;

export function wantedOf({ domain, name, apiHost, region }: Choices, zone: Zone): Wanted {
  const host = apiHost ?? `${name}.${zone.name}`;
  const domainsHost = `${name}-domains.${zone.name}`;
  const wildcard = `*.${domain}`;
  return {
    name,
    domain,
    zone,
    apiHost: host,
    domainsHost,
    nodesZone: `nodes.${zone.name}`,
    region,
    namespaceTitle: `${name}-routes`,
    bucketName: `${name}-bundles`,
    workers: { control: `${name}-control`, edge: `${name}-edge` },
    records: [
      { name: wildcard, why: "every app's hostname" },
      { name: host, why: "the API" },
      { name: domainsHost, why: "what custom domains are a CNAME of" },
    ],
    certificateHosts: certificateHosts(zone.name, [wildcard, host]),
  };
}

/** A certificate pack must hold the zone's own name too. */
function certificateHosts(zone: string, hosts: readonly string[]): string[] | null {
  const deeper = hosts.filter((host) => !isCoveredBy(host, [zone, `*.${zone}`]));
  return deeper.length === 0 ? null : [zone, ...deeper];
}

/** Whether a certificate for these names is good for a hostname: a wildcard stands for one label. */
export function isCoveredBy(host: string, names: readonly string[]): boolean {
  const parent = host.slice(host.indexOf(".") + 1);
  return names.includes(host) || names.includes(`*.${parent}`);
}

/** The names in which a domain's zone may be found, the nearest first: a zone has two labels at least. */
export function zoneCandidates(domain: string): string[] {
  const labels = domain.split(".");
  return labels.slice(0, -1).map((_label, index) => labels.slice(index).join("."));
}
