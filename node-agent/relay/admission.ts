// Who may keep a connection here: a node with the control plane's grant for this very gateway, and the key that the grant names.
import { calculateJwkThumbprint, createLocalJWKSet, EmbeddedJWK, jwtVerify, type JWK } from "jose";
import type { TicketKey } from "../../contracts/agent-protocol.ts";
import type { NodeId } from "../../contracts/ids.ts";
import { RELAY_GRANT_TYP, RELAY_PROOF_TYP, RelayGrantClaims } from "../../contracts/relay.ts";
import { TICKET_ISSUER } from "../../contracts/ticket.ts";

export interface RelayTrust {
  readonly node: NodeId;
  readonly keys: readonly TicketKey[];
}

export type Admission =
  { readonly kind: "admitted"; readonly node: NodeId } | { readonly kind: "refused"; readonly why: string };

/** A proof is made for one dial, which takes seconds at the most; what is older was recorded. */
const PROOF_LIFE_SECONDS = 30;
const CLOCKS_SECONDS = 5;
/** Proofs seen are remembered for as long as they would be good. More dials than this within 30 s are an attack. */
const SEEN_MAX = 4_096;

export class AdmissionDesk {
  readonly #seen = new Map<string, number>();

  /** header: `<grant> <proof>`. */
  async judge(header: string, trust: RelayTrust | null, controlNowMs: number): Promise<Admission> {
    if (trust === null) return refused("this gateway does not know its node yet");
    const [grant = "", proof = "", ...rest] = header.split(" ");
    if (rest.length > 0) return refused("more than a grant and a proof");
    const currentDate = new Date(controlNowMs);
    try {
      const granted = await jwtVerify(grant, createLocalJWKSet({ keys: [...trust.keys] }), {
        algorithms: ["EdDSA"],
        typ: RELAY_GRANT_TYP,
        issuer: TICKET_ISSUER,
        audience: trust.node,
        requiredClaims: ["exp", "sub"],
        currentDate,
      });
      const claims = RelayGrantClaims.safeParse(granted.payload);
      if (!claims.success) return refused("the grant's claims are incomplete");
      const proven = await jwtVerify(proof, EmbeddedJWK, {
        algorithms: ["EdDSA"],
        typ: RELAY_PROOF_TYP,
        audience: trust.node,
        maxTokenAge: PROOF_LIFE_SECONDS,
        clockTolerance: CLOCKS_SECONDS,
        requiredClaims: ["iat", "jti"],
        currentDate,
      });
      const thumbprint = await calculateJwkThumbprint(proven.protectedHeader.jwk as JWK, "sha256");
      if (thumbprint !== claims.data.cnf.jkt) return refused("the proof is by another key than the grant names");
      if (!this.#isFirst(`${claims.data.sub} ${proven.payload.jti}`, controlNowMs))
        return refused("the proof was used before, or there are too many just now");
      return { kind: "admitted", node: claims.data.sub };
    } catch (error) {
      return refused(error instanceof Error ? error.message : String(error));
    }
  }

  /** Oldest first, and all live equally long. */
  #isFirst(key: string, nowMs: number): boolean {
    for (const [known, untilMs] of this.#seen) {
      if (untilMs > nowMs) break;
      this.#seen.delete(known);
    }
    if (this.#seen.has(key) || this.#seen.size >= SEEN_MAX) return false;
    this.#seen.set(key, nowMs + (PROOF_LIFE_SECONDS + 2 * CLOCKS_SECONDS) * 1_000);
    return true;
  }
}

const refused = (why: string): Admission => ({ kind: "refused", why });
