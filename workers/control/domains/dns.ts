// The port to the DNS: one question, and what came of it. workers/control/domains/doh.ts asks a resolver over HTTPS.

export type RecordType = "TXT" | "CNAME" | "A" | "AAAA";

/**
 * answered: records of the type asked for (none: the zone says that there are none), and the names that the asked one is an alias of, one
 * after the other; names in lower case without a final dot. zone, ttlSeconds: as far as the answer says. failed: it proves nothing.
 */
export type DnsAnswer =
  | {
      readonly kind: "answered";
      readonly records: readonly string[];
      readonly aliases: readonly string[];
      readonly zone: string | null;
      readonly ttlSeconds: number | null;
    }
  | { readonly kind: "failed"; readonly message: string };

export interface Dns {
  /** Never throws. */
  ask(name: string, type: RecordType): Promise<DnsAnswer>;
}
