// Tickets: the signed, short-lived proofs that let the edge (and the verifier, and the log reader) through a node's gateway.
import { SignJWT } from "jose";
import type { AppId, InstanceId, NodeId, TeamId } from "../../contracts/ids.ts";
import { signingRing } from "../keys/signing-ring.ts";
import { TICKET_ISSUER, TICKET_TTL_MS_MAX, TICKET_TYP, type TicketClaims } from "../../contracts/ticket.ts";

export interface TicketRequest {
  /** The ring of ticket keys: the variable TICKET_SIGNING_KEY. */
  readonly key: string;
  readonly team: TeamId;
  readonly app: AppId;
  readonly instance: InstanceId;
  readonly generation: number;
  readonly node: NodeId;
  readonly use: TicketClaims["use"];
  /** Its release was asked for by name. */
  readonly preview?: boolean;
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

const keyOf = ({ use, preview = false, instance, generation, node, app, team }: TicketRequest): string =>
  `${use} ${preview} ${instance} ${generation} ${node} ${app} ${team}`;

async function sign(request: TicketRequest, iat: number, exp: number): Promise<string> {
  const { signing, kid } = await signingRing(request.key, "TICKET_SIGNING_KEY");
  const { team, app, generation: gen, use, preview = false } = request;
  return new SignJWT({ team, app, gen, use, ...(preview ? { preview } : {}) })
    .setProtectedHeader({ alg: "EdDSA", typ: TICKET_TYP, kid })
    .setIssuer(TICKET_ISSUER)
    .setAudience(request.node)
    .setSubject(request.instance)
    .setIssuedAt(iat)
    .setExpirationTime(exp)
    .sign(signing);
}
