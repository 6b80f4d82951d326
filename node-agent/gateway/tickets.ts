// Tickets at the gateway: verified once each by public key, then known by their text until they expire.
import { decodeJwt, decodeProtectedHeader, errors, importJWK, jwtVerify } from "jose";
import type { TicketKey } from "../../contracts/agent-protocol.ts";
import type { NodeId } from "../../contracts/ids.ts";
import { PEER_TYP, PeerClaims } from "../../contracts/snapshot.ts";
import {
  TICKET_ISSUER,
  TICKET_TTL_MS_MAX,
  TICKET_TYP,
  TicketClaims,
  type GatewayError,
} from "../../contracts/ticket.ts";
import type { GatewayLimits } from "./limits.ts";
import type { Peers } from "./peers.ts";

export interface TicketTrust {
  readonly node: NodeId;
  readonly keys: readonly TicketKey[];
}

export type TicketVerdict =
  | { readonly kind: "valid"; readonly claims: TicketClaims }
  /** Good, and for another node's gateway: that one's affair, where it is reached through this one. */
  | { readonly kind: "elsewhere"; readonly claims: TicketClaims }
  | {
      readonly kind: "refused";
      readonly code: Extract<GatewayError, "ticket_invalid" | "ticket_expired">;
      readonly why: string;
    };

/** One control plane, one clock: a ticket from further ahead than this was not made by it. */
const AHEAD_MS_MAX = 5_000;

const invalid = (why: string): TicketVerdict => ({ kind: "refused", code: "ticket_invalid", why });
const expired: TicketVerdict = { kind: "refused", code: "ticket_expired", why: "the ticket has expired" };

interface Verified {
  readonly token: string;
  readonly verdict: TicketVerdict;
  readonly expiresAtMs: number;
  /** The node whose key signed it; null: the control plane's. */
  readonly peer: NodeId | null;
}

const SLOTS = 256;

/** The end of a token is the end of its signature: as good as random. */
function slotOf(token: string): number {
  const { length } = token;
  return (token.charCodeAt(length - 3) * 31 + token.charCodeAt(length - 4) * 7 + token.charCodeAt(length - 5)) % SLOTS;
}

export class TicketDesk {
  readonly #limits: GatewayLimits;
  readonly #peers: Peers;
  #trust: TicketTrust | null = null;
  #keys = new Map<string, Awaited<ReturnType<typeof importJWK>>>();
  #verified = new Map<string, Verified>();
  /** Of these, the last used by slotOf: comparing 450 characters is much cheaper than hashing them for each request. */
  #recent: (Verified | undefined)[] = [];

  constructor(limits: GatewayLimits, peers: Peers) {
    this.#limits = limits;
    this.#peers = peers;
  }

  /** What these nodes signed counts no more, also where it was verified before. */
  distrust(nodes: ReadonlySet<NodeId>): void {
    if (nodes.size === 0) return;
    for (const [token, { peer }] of this.#verified) if (peer !== null && nodes.has(peer)) this.#verified.delete(token);
    this.#recent = [];
  }

  /** Replaces node and keys. What was verified under others is forgotten. */
  async trust(trust: TicketTrust): Promise<void> {
    if (this.#trust !== null && JSON.stringify(trust) === JSON.stringify(this.#trust)) return;
    const keys = new Map<string, Awaited<ReturnType<typeof importJWK>>>();
    for (const key of trust.keys) keys.set(key.kid, await importJWK({ ...key }, "EdDSA"));
    this.#keys = keys;
    this.#verified = new Map();
    this.#recent = [];
    this.#trust = trust;
  }

  /** The verdict on a ticket seen before, without any key operation; null for one that must be verified. */
  known(token: string, controlNowMs: number): TicketVerdict | null {
    const slot = slotOf(token);
    let found = this.#recent[slot];
    if (found?.token !== token) {
      found = this.#verified.get(token);
      if (found === undefined) return null;
      this.#recent[slot] = found;
    }
    return controlNowMs < found.expiresAtMs ? found.verdict : expired;
  }

  async verify(token: string, controlNowMs: number): Promise<TicketVerdict> {
    const trust = this.#trust;
    const keys = this.#keys;
    if (trust === null) return invalid("this gateway does not know its node yet");
    if (token.length > this.#limits.ticketBytesMax) return invalid("the ticket is too long");
    try {
      const { kid = "", typ } = decodeProtectedHeader(token);
      // A node's own ticket names it as its issuer; whose key is to be asked is read before anything is believed.
      const peer = typ === PEER_TYP ? ((decodeJwt(token).iss ?? "") as NodeId) : null;
      const key = peer === null ? keys.get(kid) : await this.#peers.keyOf(peer);
      if (!key) return invalid(peer === null ? "the ticket names no known key" : "no such node in this region");
      const { payload } = await jwtVerify(token, key, {
        algorithms: ["EdDSA"],
        typ: peer === null ? TICKET_TYP : PEER_TYP,
        issuer: peer ?? TICKET_ISSUER,
        requiredClaims: ["iss", "aud", "sub", "iat", "exp"],
        currentDate: new Date(controlNowMs),
      });
      const claims = peer === null ? TicketClaims.safeParse(payload) : PeerClaims.safeParse(payload);
      if (!claims.success) return invalid("the ticket's claims are incomplete");
      const { iat, exp } = claims.data;
      if ((exp - iat) * 1_000 > TICKET_TTL_MS_MAX) return invalid("the ticket is valid for too long");
      if (iat * 1_000 > controlNowMs + AHEAD_MS_MAX) return invalid("the ticket is from the future");
      const kind = claims.data.aud === trust.node ? "valid" : "elsewhere";
      const verdict: TicketVerdict = { kind, claims: { ...claims.data, iss: TICKET_ISSUER } };
      // The node may have been taken out meanwhile.
      if (peer !== null && (await this.#peers.keyOf(peer)) !== key) return invalid("no such node in this region");
      const remembered = { token, verdict, expiresAtMs: exp * 1_000, peer };
      if (trust === this.#trust) this.#remember(remembered, controlNowMs);
      return verdict;
    } catch (error) {
      if (error instanceof errors.JWTExpired) return expired;
      return invalid(error instanceof Error ? error.message : String(error));
    }
  }

  #remember(verified: Verified, controlNowMs: number): void {
    if (this.#verified.size >= this.#limits.ticketsMax) this.#forget(controlNowMs);
    this.#verified.set(verified.token, verified);
  }

  /** Tickets live for a minute: what is not expired when the table is full is most likely of use once more, so the oldest goes. */
  #forget(controlNowMs: number): void {
    for (const [token, { expiresAtMs }] of this.#verified)
      if (expiresAtMs <= controlNowMs) this.#verified.delete(token);
    for (const token of this.#verified.keys()) {
      if (this.#verified.size < this.#limits.ticketsMax) return;
      this.#verified.delete(token);
    }
  }
}
