// The control Worker's bindings, variables and secrets.
import type { ObjectEnv } from "../../durable-objects/env.ts";
import type { SignInSettings } from "./auth/caller.ts";
import type { MailEnv } from "./mail/mailer.ts";

/** Where bundles lie: R2, or a self-hosted platform's S3-compatible store. */
export interface BundleStore {
  head(key: string): Promise<{ readonly size: number } | null>;
  get(key: string): Promise<StoredBundle | null>;
  /** Throws, and keeps nothing, where the body does not have this hash (hex). */
  put(key: string, body: ReadableStream, options: BundlePut): Promise<unknown>;
  /** A small document. onlyIf: what is there already stays. */
  put(key: string, text: string, options?: TextPut): Promise<unknown>;
  /** The keys below a prefix, at most `limit` of them (1,000). */
  list(below: { readonly prefix: string; readonly limit?: number }): Promise<{ objects: readonly { key: string }[] }>;
  delete(keys: string[]): Promise<void>;
}

export interface StoredBundle {
  readonly size: number;
  readonly body: ReadableStream;
}

export interface BundlePut {
  readonly sha256: string;
  /** S3 wants to know before; R2 sees it from the body. */
  readonly bytes: number;
  readonly httpMetadata?: { readonly contentType: string };
  readonly customMetadata?: Record<string, string>;
}

export interface TextPut {
  readonly onlyIf: { readonly etagDoesNotMatch: "*" };
}

export interface ControlEnv extends ObjectEnv, MailEnv, SignInSettings {
  readonly BUNDLES: BundleStore;
  readonly BASE_DOMAIN: string;
  readonly EDGE_ORIGIN: string;
  readonly DEFAULT_REGION: string;
  /** The plan of teams that the operator gave none; absent: starter. */
  readonly DEFAULT_PLAN?: string;
  /** Neon URLs of the roles berth_app and berth_auth. */
  readonly DATABASE_URL_APP: string;
  readonly DATABASE_URL_AUTH: string;
  /** host:port of the local Neon adapter; absent in production. */
  readonly NEON_ADAPTER?: string;
  /** Ed25519 private JWKs (JSON, with kid), or rings of them (workers/keys): node credentials; gateway tickets. */
  readonly CREDENTIAL_SIGNING_KEY: string;
  readonly TICKET_SIGNING_KEY: string;
  /** JSON {"current": "1", "keys": {"1": "<32 bytes, base64url>"}}: the key-encryption keys, by version. Further ones: SECRETS_KEYS_<version>. */
  readonly SECRETS_KEYS: string;
  /** Signs sessions: text, or after a rotation JSON {"current": version, "secrets": {version: text}}. */
  readonly BETTER_AUTH_SECRET: string;
  /** Set while nodes are to say which keys they have. */
  readonly KEYS_MOVING?: string;
  readonly SETUP_TOKEN: string;
  /** JSON list of public Ed25519 JWKs (with kid): whose signatures make an agent release. Absent: none can be published. */
  readonly AGENT_RELEASE_KEYS?: string;
  /** The age recipient (`age1…`) for whom backups wrap the secrets above. Absent: backups are without them. */
  readonly BACKUP_RECIPIENT?: string;
  /** Custom domains: the resolver to ask (RFC 8484); absent: Cloudflare's. */
  readonly DOH_URL?: string;
  /** Names, addresses and ranges, with commas between, that are fetched for users though they are not the internet's (ADR 28). */
  readonly OUTBOUND_ALLOW?: string;
  /** What custom domains are to be an alias of; absent: the app's own hostname. */
  readonly DOMAIN_TARGET?: string;
  /** Beside the platform's own: names, with commas between, that can be no custom domain, nor what is below them. */
  readonly RESERVED_DOMAINS?: string;
  /** Cloudflare for SaaS; without both nobody issues certificates for custom domains. */
  readonly CLOUDFLARE_ZONE_ID?: string;
  readonly CLOUDFLARE_API_TOKEN?: string;
  readonly CLOUDFLARE_API_URL?: string;
  /** Nodes are called n-<id>.<NODES_ZONE>; absent: their names are the operator's affair. */
  readonly NODES_ZONE?: string;
  /** The zone at Cloudflare and a token with Zone / DNS / Edit; absent: those above. */
  readonly NODES_ZONE_ID?: string;
  readonly NODES_DNS_TOKEN?: string;
  /** Where the zone is on an operator's own PowerDNS instead: its HTTP API. */
  readonly POWERDNS_URL?: string;
  readonly POWERDNS_API_KEY?: string;
  /** Ids of nodes, with commas between, that may have certificates for apps' hostnames: break-glass ingresses. */
  readonly INGRESS_NODES?: string;
  /** Where nodes get their certificates; absent: Let's Encrypt; none: they are given by files. */
  readonly ACME_DIRECTORY?: string;
}
