// Where the edge comes to, by what way, and what the gateway shows it: the options that belong together, checked against each other.
import { resolve } from "node:path";
import type { TlsFiles } from "../certificate/given-files.ts";

/** How the edge comes to this node. */
export type ReachOption =
  | { readonly kind: "direct" }
  | { readonly kind: "relay" }
  | { readonly kind: "cloudflared"; readonly tokenFile: string };

interface Given {
  readonly "gateway-host": string;
  readonly "gateway-port": number;
  readonly "gateway-url"?: string | undefined;
  readonly "public-address"?: readonly string[] | undefined;
  readonly "tls-cert"?: string | undefined;
  readonly "tls-key"?: string | undefined;
  readonly reach: ReachOption["kind"];
  readonly "cloudflared-token-file"?: string | undefined;
}

export interface Reached {
  readonly gatewayUrl: string;
  /** operator: --gateway-url was given. own: where the node is reached, as far as was said; its name comes from the control plane. */
  readonly naming:
    { readonly kind: "operator" } | { readonly kind: "own"; readonly addresses: readonly string[] | null };
  readonly reach: ReachOption;
  readonly tls: TlsFiles | null;
}

/** Until a relay is known, nobody comes: a name that no resolver knows (RFC 6761). */
const NOWHERE = "http://behind-a-relay.invalid";

/** Throws with a message for people. */
export function reached(run: Given): Reached {
  const { "gateway-host": host, "gateway-url": url, "gateway-port": port } = run;
  const tls = tlsOf(run);
  if (tls !== null && url?.startsWith("http:")) throw new Error("--gateway-url: must be https with --tls-cert");
  const addresses = run["public-address"] ?? null;
  if (url !== undefined && addresses !== null)
    throw new Error("--public-address: is for the node's own name, which --gateway-url takes the place of");
  const reach = reachOf(run);
  if (reach.kind === "relay") return { gatewayUrl: `${NOWHERE}:${port}`, naming: { kind: "operator" }, reach, tls };
  // Nobody outside reaches a loopback, and no record could say otherwise.
  const isInside = addresses === null && isLoopback(host);
  return {
    gatewayUrl: url ?? `${tls === null ? "http" : "https"}://${host.includes(":") ? `[${host}]` : host}:${port}`,
    naming: url !== undefined || isInside ? { kind: "operator" } : { kind: "own", addresses },
    reach,
    tls,
  };
}

function tlsOf({ "tls-cert": cert, "tls-key": key }: Given): TlsFiles | null {
  if ((cert === undefined) !== (key === undefined))
    throw new Error("--tls-cert and --tls-key are given together or not at all");
  return cert === undefined || key === undefined ? null : { cert: resolve(cert), key: resolve(key) };
}

function reachOf(run: Given): ReachOption {
  const { reach, "gateway-url": url, "public-address": addresses, "cloudflared-token-file": tokenFile } = run;
  if (reach !== "cloudflared" && tokenFile !== undefined)
    throw new Error("--cloudflared-token-file: is for --reach cloudflared");
  switch (reach) {
    case "direct":
      return { kind: reach };
    case "relay":
      if (url !== undefined || addresses !== undefined)
        throw new Error(
          "--reach relay: its relays say where the node is reached; leave --gateway-url and --public-address out",
        );
      return { kind: reach };
    case "cloudflared":
      if (tokenFile === undefined || url === undefined)
        throw new Error(
          "--reach cloudflared: needs --cloudflared-token-file, and --gateway-url with the tunnel's public name",
        );
      return { kind: reach, tokenFile: resolve(tokenFile) };
  }
}

const isLoopback = (host: string): boolean => host === "localhost" || host === "::1" || host.startsWith("127.");
