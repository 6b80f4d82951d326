// Tickets at the gateway: verified once each by public key, then known by their text until they expire.
import { decodeProtectedHeader, errors, importJWK, jwtVerify } from "jose";
import type { TicketKey } from "../../contracts/agent-protocol.ts";
import type { NodeId } from "../../contracts/ids.ts";
import {
  TICKET_ISSUER,
  TICKET_TTL_MS_MAX,
  TICKET_TYP,
  TicketClaims,
  type GatewayError,
} from "../../contracts/ticket.ts";
import type { GatewayLimits } from "./limits.ts";

export interface TicketTrust {
  readonly node: NodeId;
  readonly keys: readonly TicketKey[];
}

export type TicketVerdict =
  | { readonly kind: "valid"; readonly claims: TicketClaims }
  | {
      readonly kind: "refused";
      readonly code: Extract<GatewayError, "ticket_invalid" | "ticket_expired">;
      readonly why: string;
    };

/** One control plane, one clock: a ticket from further ahead than this was not made by it. */
const AHEAD_MS_MAX = 5_000;

const invalid = (why: string): TicketVerdict => ({ kind: "refused", code: "ticket_invalid", why });
const expired: TicketVerdict = { kind: "refused", code: "ticket_expired", why: "the ticket has expired" };

export class TicketDesk {
  readonly #limits: GatewayLimits;
  #trust: TicketTrust | null = null;
  #keys = new Map<string, Awaited<ReturnType<typeof importJWK>>>();
  #verified = new Map<string, { readonly verdict: TicketVerdict; readonly expiresAtMs: number }>();

  constructor(limits: GatewayLimits) {
    this.#limits = limits;
  }

  /** Replaces node and keys. What was verified under others is forgotten. */
  async trust(trust: TicketTrust): Promise<void> {
    if (this.#trust !== null && JSON.stringify(trust) === JSON.stringify(this.#trust)) return;
    const keys = new Map<string, Awaited<ReturnType<typeof importJWK>>>();
    for (const key of trust.keys) keys.set(key.kid, await importJWK({ ...key }, "EdDSA"));
    this.#keys = keys;
    this.#verified = new Map();
    this.#trust = trust;
  }

  /** The verdict on a ticket seen before, without any key operation; null for one that must be verified. */
  known(token: string, controlNowMs: number): TicketVerdict | null {
    const found = this.#verified.get(token);
    if (found === undefined) return null;
    return controlNowMs < found.expiresAtMs ? found.verdict : expired;
  }

  async verify(token: string, controlNowMs: number): Promise<TicketVerdict> {
    const trust = this.#trust;
    const keys = this.#keys;
    if (trust === null) return invalid("this gateway does not know its node yet");
    if (token.length > this.#limits.ticketBytesMax) return invalid("the ticket is too long");
    try {
      const key = keys.get(decodeProtectedHeader(token).kid ?? "");
      if (key === undefined) return invalid("the ticket names no known key");
      const { payload } = await jwtVerify(token, key, {
        algorithms: ["EdDSA"],
        typ: TICKET_TYP,
        issuer: TICKET_ISSUER,
        audience: trust.node,
        requiredClaims: ["iss", "aud", "sub", "iat", "exp"],
        currentDate: new Date(controlNowMs),
      });
      const claims = TicketClaims.safeParse(payload);
      if (!claims.success) return invalid("the ticket's claims are incomplete");
      const { iat, exp } = claims.data;
      if ((exp - iat) * 1_000 > TICKET_TTL_MS_MAX) return invalid("the ticket is valid for too long");
      if (iat * 1_000 > controlNowMs + AHEAD_MS_MAX) return invalid("the ticket is from the future");
      const verdict: TicketVerdict = { kind: "valid", claims: claims.data };
      if (trust === this.#trust) this.#remember(token, verdict, exp * 1_000, controlNowMs);
      return verdict;
    } catch (error) {
      if (error instanceof errors.JWTExpired) return expired;
      return invalid(error instanceof Error ? error.message : String(error));
    }
  }

  #remember(token: string, verdict: TicketVerdict, expiresAtMs: number, controlNowMs: number): void {
    if (this.#verified.size >= this.#limits.ticketsMax) this.#forget(controlNowMs);
    this.#verified.set(token, { verdict, expiresAtMs });
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
