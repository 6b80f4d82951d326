// For which names an ingress needs certificates, and where the answers to their challenges are put.

/** One for all of the platform's own hostnames, and one for each custom hostname. */
export function namesToCertify(baseDomain: string | undefined, hostnames: readonly string[]): string[] {
  const custom = hostnames.filter((name) => baseDomain === undefined || !name.endsWith(`.${baseDomain}`));
  return [...(baseDomain === undefined ? [] : [`*.${baseDomain}`]), ...new Set(custom)];
}

/**
 * What `_acme-challenge.<hostname>` is to be an alias of: below the nodes' zone, which the control plane can write to. A wildcard is
 * proven under the name that it stands below.
 */
export const delegatedRecord = (hostname: string, zone: string): string => `${bareName(hostname)}.acme.${zone}`;
export const bareName = (hostname: string): string => hostname.replace(/^\*\./, "");
