// What a node is called in the DNS, and which records say so.
import type { NodeId } from "../../contracts/ids.ts";

/** `n-<id without its prefix>.<zone>`: a node has one name for life, and no two share one. */
export const nodeName = (node: NodeId, zone: string): string => `n-${node.slice(node.indexOf("_") + 1)}.${zone}`;

/** Where an ACME server looks for its challenge's answer (RFC 8555, 8.4). */
export const challengeRecord = (name: string): string => `_acme-challenge.${name}`;

export interface AddressRecords {
  readonly A: readonly string[];
  readonly AAAA: readonly string[];
}

/** IPv6 addresses have colons. */
export function addressRecords(addresses: readonly string[]): AddressRecords {
  const unique = [...new Set(addresses.map((address) => address.toLowerCase()))].sort();
  return { A: unique.filter((one) => !one.includes(":")), AAAA: unique.filter((one) => one.includes(":")) };
}

/** port 443 goes without saying. */
export const gatewayUrlOf = (name: string, port: number): string => new URL(`https://${name}:${port}`).origin;

/** Whether the records say something else already, or were last looked after too long ago. */
export function areRecordsDue(
  known: { readonly name: string; readonly addresses: readonly string[]; readonly atMs: number } | null,
  wanted: { readonly name: string; readonly addresses: readonly string[] },
  nowMs: number,
  freshMs: number,
): boolean {
  if (known === null || known.name !== wanted.name || nowMs - known.atMs >= freshMs) return true;
  const { A, AAAA } = addressRecords(wanted.addresses);
  const before = addressRecords(known.addresses);
  return `${A} ${AAAA}` !== `${before.A} ${before.AAAA}`;
}
