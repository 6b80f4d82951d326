// Tickets: the signed, short-lived proofs that let the edge (and the verifier, and the log reader) through a node's gateway.
import { importJWK, SignJWT, type CryptoKey, type JWK } from "jose";
import type { AppId, InstanceId, NodeId, TeamId } from "../../contracts/ids.ts";
import { TICKET_ISSUER, TICKET_TTL_MS_MAX, TICKET_TYP, type TicketClaims } from "../../contracts/ticket.ts";

export interface TicketRequest {
  /** Ed25519 private JWK as JSON, with kid: the variable TICKET_SIGNING_KEY. */
  readonly key: string;
  readonly team: TeamId;
  readonly app: AppId;
  readonly instance: InstanceId;
  readonly generation: number;
  readonly node: NodeId;
  readonly use: TicketClaims["use"];
}

/** A ticket is made anew this long before it expires, so that it is still good when the request reaches the node. */
const RENEW_BEFORE_EXPIRY_MS = 10_000;
/** About 700 bytes each; beyond this an isolate forgets its oldest ones. */
const TICKETS_MAX = 10_000;

export interface Ticket {
  readonly token: string;
  readonly renewAtMs: number;
}

const tickets = new Map<string, Ticket>();
const signingKeys = new Map<string, { readonly key: CryptoKey; readonly kid: string }>();

/** The compact JWT for one instance and use; the same one until 10 s before it expires. No key operation while it is cached. */
export async function ticketFor(request: TicketRequest, nowMs: number): Promise<string> {
  const cacheKey = keyOf(request);
  const cached = tickets.get(cacheKey);
  if (cached !== undefined && nowMs < cached.renewAtMs) return cached.token;
  const made = await makeTicket(request, nowMs);
  tickets.delete(cacheKey);
  if (tickets.size >= TICKETS_MAX) tickets.delete(tickets.keys().next().value as string);
  tickets.set(cacheKey, made);
  return made.token;
}

/** A new one, for callers that keep it themselves. renewAtMs: until then it is good to use. */
export async function makeTicket(request: TicketRequest, nowMs: number): Promise<Ticket> {
  const issuedAtSeconds = Math.floor(nowMs / 1_000);
  const expiresAtSeconds = issuedAtSeconds + TICKET_TTL_MS_MAX / 1_000;
  const token = await sign(request, issuedAtSeconds, expiresAtSeconds);
  return { token, renewAtMs: expiresAtSeconds * 1_000 - RENEW_BEFORE_EXPIRY_MS };
}

const keyOf = ({ use, instance, generation, node, app, team }: TicketRequest): string =>
  `${use} ${instance} ${generation} ${node} ${app} ${team}`;

async function sign(request: TicketRequest, iat: number, exp: number): Promise<string> {
  const { key, kid } = await signingKey(request.key);
  return new SignJWT({ team: request.team, app: request.app, gen: request.generation, use: request.use })
    .setProtectedHeader({ alg: "EdDSA", typ: TICKET_TYP, kid })
    .setIssuer(TICKET_ISSUER)
    .setAudience(request.node)
    .setSubject(request.instance)
    .setIssuedAt(iat)
    .setExpirationTime(exp)
    .sign(key);
}

async function signingKey(json: string): Promise<{ key: CryptoKey; kid: string }> {
  const known = signingKeys.get(json);
  if (known !== undefined) return known;
  const jwk = JSON.parse(json) as JWK;
  if (typeof jwk.kid !== "string") throw new Error("TICKET_SIGNING_KEY must be a private JWK with a kid");
  const imported = { key: (await importJWK(jwk, "EdDSA")) as CryptoKey, kid: jwk.kid };
  signingKeys.set(json, imported);
  return imported;
}
