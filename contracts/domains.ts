// Custom domains as the API shows them: what is proven, what DNS said, what to change, and the certificate.
import { z } from "zod";
import { AppId, AtMs } from "./ids.ts";

/** POST /v1/apps/{app}/domains. In any spelling: upper case, a final dot, IDN; `*.example.com` for a wildcard. */
export const DomainAdd = z.strictObject({ hostname: z.string().min(1).max(1_024) });

/**
 * What a name answered for one type of record. absent: the zone itself says so. failed: nobody could say, which proves nothing.
 * ttlSeconds: how long resolvers may keep it; null where nothing says.
 */
export const Lookup = z.discriminatedUnion("kind", [
  z.object({ kind: z.literal("records"), records: z.array(z.string()), ttlSeconds: z.int().nullable() }),
  z.object({ kind: z.literal("absent"), zone: z.string().nullable(), ttlSeconds: z.int().nullable() }),
  z.object({ kind: z.literal("failed"), message: z.string() }),
]);
export type Lookup = z.infer<typeof Lookup>;

/**
 * proof: TXT at the domain's own `_berth` name. doubled: the same proof at that name with the zone behind it once more (null: nobody
 * looked). pointer: what the hostname is an alias of, one name after the other. addresses: null where the alias is right already.
 * delegation: what its `_acme-challenge` name is an alias of; absent where nothing asks for it.
 */
export const Findings = z.object({
  proof: Lookup,
  doubled: z.string().nullable(),
  pointer: Lookup,
  addresses: Lookup.nullable(),
  targetAddresses: Lookup.nullable(),
  delegation: Lookup.optional(),
  atMs: AtMs,
});
export type Findings = z.infer<typeof Findings>;

/** One record that has to be there. found: what is there instead, or with it. waitSeconds: until resolvers have forgotten that. */
export const DomainInstruction = z.object({
  purpose: z.enum(["ownership", "traffic", "certificate"]),
  type: z.enum(["TXT", "CNAME"]),
  name: z.string(),
  value: z.string(),
  ok: z.boolean(),
  found: z.array(z.string()),
  waitSeconds: z.int().nullable(),
  /** What to do, in sentences; empty where it is right. */
  text: z.string(),
});
export type DomainInstruction = z.infer<typeof DomainInstruction>;

/** A record that may be there: the alias under which break-glass ingresses prove the hostname to their certificates' issuer. */
export const DomainDelegation = z.object({
  type: z.literal("CNAME"),
  name: z.string(),
  value: z.string(),
  ok: z.boolean(),
  found: z.array(z.string()),
  text: z.string(),
});
export type DomainDelegation = z.infer<typeof DomainDelegation>;

/** As the certificate's issuer has it. expiresAtMs null: there is none yet. */
export const DomainCertificate = z.object({
  /** Of the hostname at the issuer, and of its certificate: `pending`, `pending_validation`, `active`, … */
  hostnameStatus: z.string(),
  status: z.string(),
  issuer: z.string().nullable(),
  expiresAtMs: AtMs.nullable(),
  /** TXT records that the issuer wants to see. */
  records: z.array(z.object({ name: z.string(), value: z.string() })),
  errors: z.array(z.string()),
  checkedAtMs: AtMs,
});
export type DomainCertificate = z.infer<typeof DomainCertificate>;

/**
 * pending: the proof is not there yet. blocked: it is, but the hostname is another team's, or rests until blockedUntilMs. proven: it serves
 * what arrives, but DNS does not point here. active: both. failing: the proof is gone; it serves until suspendAtMs. suspended: it served
 * nobody since; a fresh proof brings it back.
 */
export const DOMAIN_STATUSES = ["pending", "blocked", "proven", "active", "failing", "suspended"] as const;
export const Domain = z.object({
  hostname: z.string(),
  app: AppId,
  status: z.enum(DOMAIN_STATUSES),
  /** The status in a sentence. */
  message: z.string(),
  instructions: z.array(DomainInstruction),
  /** Optional, and no part of the status. Absent: no node of this installation is an ingress that orders certificates. */
  delegation: DomainDelegation.optional(),
  /** null: certificates are nobody's concern here (none is configured), or it is not proven yet. */
  certificate: DomainCertificate.nullable(),
  blockedUntilMs: AtMs.nullable(),
  suspendAtMs: AtMs.nullable(),
  provenAtMs: AtMs.nullable(),
  checkedAtMs: AtMs.nullable(),
  /** When it is looked at again by itself; null: only when asked to. */
  nextCheckAtMs: AtMs.nullable(),
  createdAtMs: AtMs,
});
export type Domain = z.infer<typeof Domain>;
