// What the DNS says about one domain: its proof, where it leads, and the slips that people make most.
import type { Findings, Lookup } from "../../../contracts/domains.ts";
import { delegationName } from "../../../core/domains/delegation.ts";
import { pointerName, proofName } from "../../../core/domains/hostname.ts";
import { proofIn } from "../../../core/domains/judge.ts";
import type { Dns, DnsAnswer } from "./dns.ts";

/** More records than these say nothing more, and are kept with the domain. */
const RECORDS_MAX = 20;
const RECORD_LENGTH_MAX = 255;

/** delegated: whether anybody would use the delegation of its challenges. */
interface Asked {
  readonly hostname: string;
  readonly token: string;
  readonly target: string;
  readonly delegated: boolean;
}

export async function lookUp(
  dns: Dns,
  { hostname, token, target, delegated }: Asked,
  nowMs: number,
): Promise<Findings> {
  const [proof, way, delegation] = await Promise.all([
    dns.ask(proofName(hostname), "TXT").then((answer) => lookupOf(answer, "records")),
    lookAlong(dns, pointerName(hostname, token), target),
    delegated ? dns.ask(delegationName(hostname), "CNAME").then((answer) => lookupOf(answer, "aliases")) : null,
  ]);
  const doubled =
    proof.kind === "absent" && proof.zone !== null ? await doubledAt(dns, hostname, token, proof.zone) : null;
  return { proof, doubled, ...way, ...(delegation === null ? {} : { delegation }), atMs: nowMs };
}

function lookupOf(answer: DnsAnswer, what: "records" | "aliases"): Lookup {
  if (answer.kind === "failed") return answer;
  const { zone, ttlSeconds } = answer;
  const records = answer[what].slice(0, RECORDS_MAX).map((record) => record.slice(0, RECORD_LENGTH_MAX));
  return records.length === 0 ? { kind: "absent", zone, ttlSeconds } : { kind: "records", records, ttlSeconds };
}

type Way = Pick<Findings, "pointer" | "addresses" | "targetAddresses">;

async function lookAlong(dns: Dns, name: string, target: string): Promise<Way> {
  const answer = await dns.ask(name, "A");
  // What it is an alias of may have no address, and resolvers then tell nothing of the alias either.
  const seen = answer.kind === "failed" ? await dns.ask(name, "CNAME") : answer;
  const pointer = lookupOf(seen, "aliases");
  if (pointer.kind === "records" && pointer.records.includes(target))
    return { pointer, addresses: null, targetAddresses: null };
  const addresses = await addressesOf(dns, name, answer);
  if (addresses.kind !== "records") return { pointer, addresses, targetAddresses: null };
  return { pointer, addresses, targetAddresses: await addressesOf(dns, target, await dns.ask(target, "A")) };
}

async function addressesOf(dns: Dns, name: string, v4: DnsAnswer): Promise<Lookup> {
  const v6 = await dns.ask(name, "AAAA");
  if (v4.kind === "failed") return lookupOf(v6, "records");
  if (v6.kind === "failed") return lookupOf(v4, "records");
  return lookupOf({ ...v4, records: [...v4.records, ...v6.records] }, "records");
}

/** Many providers put the zone behind what is typed: `_berth.www.example.com` becomes `_berth.www.example.com.example.com`. */
async function doubledAt(dns: Dns, hostname: string, token: string, zone: string): Promise<string | null> {
  const name = `${proofName(hostname)}.${zone}`;
  if (name.length > 253) return null;
  const proof = lookupOf(await dns.ask(name, "TXT"), "records");
  return proofIn({ proof }, token) === "there" ? name : null;
}
