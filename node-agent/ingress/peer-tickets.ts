// This node's own tickets for its peers' gateways, by its identity's key; each is used again for half of its life.
import { SignJWT, type CryptoKey } from "jose";
import type { AppId, InstanceId, NodeId, TeamId } from "../../contracts/ids.ts";
import { PEER_TYP, type PeerClaims } from "../../contracts/snapshot.ts";
import { TICKET_TTL_MS_MAX } from "../../contracts/ticket.ts";
import type { IngressLimits } from "./limits.ts";

export interface TicketWish {
  readonly team: TeamId;
  readonly app: AppId;
  readonly instance: InstanceId;
  readonly generation: number;
  readonly node: NodeId;
  readonly use: PeerClaims["use"];
  /** Its release was asked for by name. */
  readonly preview: boolean;
}

interface Kept {
  /** A promise while it is being signed. */
  token: string | Promise<string>;
  readonly untilMs: number;
}

export class PeerTickets {
  readonly #node: NodeId;
  readonly #key: CryptoKey;
  readonly #limits: IngressLimits;
  readonly #kept = new Map<string, Kept>();

  constructor(node: NodeId, key: CryptoKey, limits: IngressLimits) {
    this.#node = node;
    this.#key = key;
    this.#limits = limits;
  }

  /** nowMs: by the control plane's clock, as all nodes keep it. */
  ticketFor(wish: TicketWish, nowMs: number): string | Promise<string> {
    const { team, app, instance, generation, node, use, preview } = wish;
    const name = `${instance} ${generation} ${node} ${app} ${team} ${use}${preview ? " preview" : ""}`;
    const known = this.#kept.get(name);
    if (known !== undefined && nowMs < known.untilMs) return known.token;
    const token = this.#sign(wish, Math.floor(nowMs / 1_000));
    const kept: Kept = { token, untilMs: nowMs + this.#limits.ticketKeptMs };
    void token.then((signed) => (kept.token = signed));
    this.#kept.delete(name);
    if (this.#kept.size >= this.#limits.ticketsMax) this.#kept.delete(this.#kept.keys().next().value as string);
    this.#kept.set(name, kept);
    return token;
  }

  #sign({ team, app, instance, generation: gen, node, use, preview }: TicketWish, iat: number): Promise<string> {
    return new SignJWT({ team, app, gen, use, ...(preview ? { preview } : {}) })
      .setProtectedHeader({ alg: "EdDSA", typ: PEER_TYP })
      .setIssuer(this.#node)
      .setAudience(node)
      .setSubject(instance)
      .setIssuedAt(iat)
      .setExpirationTime(iat + TICKET_TTL_MS_MAX / 1_000)
      .sign(this.#key);
  }
}
