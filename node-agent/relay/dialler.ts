// The other side: this node cannot be reached, so its gateway keeps a connection to each of its relays and serves what comes over it.
import { randomUUID } from "node:crypto";
import { request as httpRequest, type IncomingMessage } from "node:http";
import { request as httpsRequest } from "node:https";
import { constants, performServerHandshake, type ServerHttp2Session, type ServerHttp2Stream } from "node:http2";
import type { Duplex } from "node:stream";
import { importJWK, SignJWT } from "jose";
import type { NodeId } from "../../contracts/ids.ts";
import { RELAY_HEADER, RELAY_PATH, RELAY_PROOF_TYP, RELAY_UPGRADE, type RelayOffer } from "../../contracts/relay.ts";
import { backoffMs, pause } from "../agent/link/pause.ts";
import type { Carrier } from "../gateway/arriving.ts";
import type { GatewayLimits } from "../gateway/limits.ts";
import { DIAL_AGAIN, SESSION_OPTIONS, tend, TO_GATEWAY } from "./http2.ts";
import type { RelayFile } from "./relay-file.ts";

export interface DiallerPorts {
  readonly limits: GatewayLimits;
  readonly controlNowMs: () => number;
  /** Somebody came: as if the gateway's own port had been dialled. */
  readonly arrived: (carrier: Carrier) => void;
  readonly log: { info(fields: object, message: string): void; warn(fields: object, message: string): void };
}

/** One relay, for as long as it is among those that the agent names. */
interface Dial {
  offer: RelayOffer;
  readonly stop: AbortController;
  session: ServerHttp2Session | null;
}

export class Dialler {
  readonly #ports: DiallerPorts;
  readonly #dials = new Map<string, Dial>();
  #key: RelayFile["key"] | null = null;

  constructor(ports: DiallerPorts) {
    this.#ports = ports;
  }

  /** null: no relay any more. Who stays keeps its connection; who goes lets what is open end. */
  take(file: RelayFile | null): void {
    this.#key = file?.key ?? null;
    const wanted = new Map((file?.relays ?? []).map((offer) => [`${offer.node} ${offer.gatewayUrl}`, offer]));
    for (const [place, dial] of this.#dials) {
      const offer = wanted.get(place);
      if (offer !== undefined) dial.offer = offer;
      else this.#drop(place, dial);
    }
    for (const [place, offer] of wanted) {
      if (this.#dials.has(place)) continue;
      const dial: Dial = { offer, stop: new AbortController(), session: null };
      this.#dials.set(place, dial);
      void this.#keep(dial);
    }
  }

  /** To whom there is a connection just now. */
  held(): NodeId[] {
    return [...this.#dials.values()].filter(({ session }) => session !== null).map(({ offer }) => offer.node);
  }

  /** Dials no more. A connection is closed a little later: the next gateway's takes its place at the relay, and none is lost between. */
  release(): void {
    for (const [place, dial] of this.#dials) this.#drop(place, dial);
  }

  #drop(place: string, dial: Dial): void {
    this.#dials.delete(place);
    dial.stop.abort();
    const { session } = dial;
    if (session !== null) setTimeout(() => session.close(), this.#ports.limits.relayWaitMs).unref();
  }

  async #keep(dial: Dial): Promise<void> {
    const { limits, log } = this.#ports;
    const { signal } = dial.stop;
    let failures = 0;
    while (!signal.aborted) {
      const { node, gatewayUrl } = dial.offer;
      try {
        const session = await this.#dial(dial.offer, signal);
        failures = 0;
        dial.session = session;
        log.info({ relay: node, gatewayUrl }, "reached through another node");
        await new Promise<void>((resolve) => {
          session.once("goaway", resolve);
          session.once("close", resolve);
          session.once(DIAL_AGAIN, resolve);
        });
        dial.session = null;
        if (!signal.aborted) log.warn({ relay: node, gatewayUrl }, "the connection to the relay has ended");
      } catch (error) {
        failures += 1;
        if (!signal.aborted) log.warn({ relay: node, gatewayUrl, error: String(error) }, "the relay cannot be dialled");
        await pause(backoffMs(failures, limits.relayBackoffMinMs, limits.relayBackoffMaxMs, null), signal);
      }
    }
  }

  async #dial(offer: RelayOffer, signal: AbortSignal): Promise<ServerHttp2Session> {
    const { limits } = this.#ports;
    const headers = {
      connection: "Upgrade",
      upgrade: RELAY_UPGRADE,
      [RELAY_HEADER]: `${offer.grant} ${await this.#proof(offer.node)}`,
    };
    const within = AbortSignal.any([signal, AbortSignal.timeout(limits.relayDialTimeoutMs)]);
    const carrier = await upgraded(new URL(RELAY_PATH, offer.gatewayUrl), headers, within);
    if (signal.aborted) {
      carrier.destroy();
      throw new Error("not wanted any more");
    }
    const session = performServerHandshake(carrier, SESSION_OPTIONS);
    session.on("error", () => session.destroy());
    session.on("stream", (stream, asked) => this.#serve(stream, asked[":method"] === "CONNECT" && asked[":authority"]));
    tend(session, limits);
    return session;
  }

  /** Made for this dial: who overhears it cannot use it again. */
  async #proof(relay: NodeId): Promise<string> {
    if (this.#key === null) throw new Error("there is no relay key");
    const { d: _, ...jwk } = this.#key;
    return new SignJWT({})
      .setProtectedHeader({ alg: "EdDSA", typ: RELAY_PROOF_TYP, jwk })
      .setAudience(relay)
      .setJti(randomUUID())
      .setIssuedAt(Math.floor(this.#ports.controlNowMs() / 1_000))
      .sign(await importJWK(this.#key, "EdDSA"));
  }

  #serve(stream: ServerHttp2Stream, to: string | false | undefined): void {
    stream.on("error", () => undefined);
    if (to === DIAL_AGAIN) {
      stream.session?.emit(DIAL_AGAIN);
      stream.respond({ ":status": 200 }, { endStream: true });
      return;
    }
    if (to !== TO_GATEWAY) return stream.close(constants.NGHTTP2_REFUSED_STREAM);
    stream.respond({ ":status": 200 });
    this.#ports.arrived(
      Object.assign(stream, {
        destroySoon: () => void stream.end(),
        resetAndDestroy: () => stream.close(constants.NGHTTP2_INTERNAL_ERROR),
      }),
    );
  }
}

/** The connection, once the relay has let this node in. Throws with the relay's own word where it does not. */
function upgraded(url: URL, headers: Record<string, string>, signal: AbortSignal): Promise<Duplex> {
  return new Promise((resolve, reject) => {
    const request = url.protocol === "https:" ? httpsRequest : httpRequest;
    const asked = request(url, { headers, signal, agent: false });
    asked.on("error", reject);
    asked.on("upgrade", (_answer: IncomingMessage, socket: Duplex, head: Buffer) => {
      if (head.length > 0) socket.unshift(head);
      resolve(socket);
    });
    asked.on("response", (answer) => {
      const chunks: Buffer[] = [];
      answer.on("data", (chunk: Buffer) => chunks.push(chunk));
      answer.on("error", reject);
      answer.on("end", () =>
        reject(new Error(`${answer.statusCode}: ${Buffer.concat(chunks).toString("utf8", 0, 500)}`)),
      );
    });
    asked.end();
  });
}
