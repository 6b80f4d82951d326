// The one record that lets break-glass ingresses have a hostname's certificate ahead of need: what it must be, and what is there.
import type { DomainCertificate, DomainDelegation, Findings } from "../../contracts/domains.ts";
import { bareName, delegatedRecord } from "../names/ingress-names.ts";

/** A wildcard is proven at the name that it stands below. */
export const delegationName = (hostname: string): string => `_acme-challenge.${bareName(hostname)}`;

/** zone: the nodes', where challenges are answered. certificate: the edge's, if somebody issues it. */
export function delegationOf(
  hostname: string,
  zone: string,
  findings: Findings | null,
  certificate: DomainCertificate | null,
): DomainDelegation {
  const name = delegationName(hostname);
  const value = delegatedRecord(hostname, zone);
  const delegation = findings?.delegation ?? null;
  const found = delegation?.kind === "records" ? [...delegation.records] : [];
  const line = { type: "CNAME", name, value, ok: found.includes(value), found } as const;
  if (line.ok) return { ...line, text: "" };
  // A CNAME tolerates no other record at its name.
  if (certificate?.records.some((record) => record.name === name)) {
    const text = `Not possible while the certificate's issuer wants TXT records at ${name}: an operator can give ingresses this hostname's certificate as a file.`;
    return { ...line, text };
  }
  const seen = delegation?.kind === "failed" ? ` Nobody could say whether it is there: ${delegation.message}.` : "";
  const instead = found.length > 0 ? ` It leads to ${found.join(", ")} now.` : "";
  return { ...line, text: `${WHY} Create CNAME ${name} with the value ${value}, and leave it.${instead}${seen}` };
}

const WHY =
  "Optional: with it the racks can serve this hostname over TLS by themselves when the edge is away, because they have its certificate ahead of need.";
