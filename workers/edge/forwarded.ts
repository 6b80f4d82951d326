// Who the visitor is and what they named. The gateway writes it into the app's request, in place of their own claims.
import { parsePreview } from "../../contracts/override.ts";
import { REQUEST_ID_HEADER } from "../../contracts/ticket.ts";

const REQUEST_ID = /^[\w.:-]{8,128}$/;
const ADDRESS = /^[0-9a-fA-F.:]{2,45}$/;

export interface Visitor {
  readonly requestId: string;
  readonly proto: "http" | "https";
  /** Cloudflare names it, and nobody can forge it there; a local workerd has none. */
  readonly address: string | null;
  /** As the visitor wrote it, port included. */
  readonly host: string;
  /** Path and query. */
  readonly path: string;
}

export function visitorOf(request: Request): Visitor {
  const { url, headers } = request;
  const hostAt = url.indexOf("://") + 3;
  const pathAt = url.indexOf("/", hostAt);
  const asked = headers.get(REQUEST_ID_HEADER);
  const address = headers.get("cf-connecting-ip");
  return {
    requestId: asked !== null && REQUEST_ID.test(asked) ? asked : freshRequestId(),
    proto: url.startsWith("https:") ? "https" : "http",
    address: address !== null && ADDRESS.test(address) ? address : null,
    host: url.slice(hostAt, pathAt),
    path: url.slice(pathAt),
  };
}

/** Unique by the isolate's random part and a count: a random UUID for each request would cost as much as choosing its instance. */
function freshRequestId(): string {
  isolateId ??= crypto.randomUUID().replaceAll("-", "");
  return `${isolateId}-${(++requestCount).toString(36)}`;
}

/** Made with the first request, since workerd gives no randomness before. */
let isolateId: string | null = null;
let requestCount = 0;

/** Hosts that can never be an app's: one label or an address. */
const RESERVED_HOST = /^(?:[^.]+|\d+\.\d+\.\d+\.\d+|\[.*\])$/;
const HOSTS_MAX = 10_000;
const hosts = new Map<string, Host>();

/** preview: the version that a preview's hostname names; hostname is the app's own then. */
interface Host {
  readonly hostname: string;
  readonly reserved: boolean;
  readonly preview: number | null;
}

/** What a host as the visitor wrote it means; remembered, because most visitors write it alike. */
export function hostOf(written: string): Host {
  const known = hosts.get(written);
  if (known !== undefined) return known;
  const named = hostnameOf(written);
  const preview = parsePreview(named);
  const hostname = preview?.hostname ?? named;
  const host = { hostname, reserved: RESERVED_HOST.test(hostname), preview: preview?.version ?? null };
  if (hosts.size >= HOSTS_MAX) hosts.delete(hosts.keys().next().value as string);
  hosts.set(written, host);
  return host;
}

/** The host's name without its port, in lower case, without a final dot. */
function hostnameOf(host: string): string {
  const name = host.replace(/:\d+$/, "").toLowerCase();
  return name.endsWith(".") ? name.slice(0, -1) : name;
}
